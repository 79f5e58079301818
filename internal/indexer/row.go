package indexer

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"volley/internal/index"
	"volley/internal/message"
	"volley/internal/phone"
	"volley/starter"
)

const (
	// countryDigits are how many characters of a number decide its country, and
	// maxCountries of how many beginnings it is kept.
	countryDigits = 8
	maxCountries  = 20_000
)

// rowMaker makes what the index keeps out of what is read.
type rowMaker struct {
	metadata  []string
	countries *lru.Cache[string, string]
}

func newRowMaker(metadata []string) rowMaker {
	c, _ := lru.New[string, string](maxCountries) // fails below 1
	return rowMaker{metadata, c}
}

// batch is a batch as its status tells of it, which was read at a time.
func (r rowMaker) batch(st *message.Status, read time.Time) index.Batch {
	b := index.Batch{
		Tenant: st.Tenant, ID: st.ID, Dialect: st.Dialect, Account: st.Account, State: st.State, Dispatch: st.Dispatch, Total: st.Total,
		Reasons: st.Reasons, Metadata: message.MetadataTexts(st.Metadata, r.metadata), CreatedAt: st.CreatedAt,
		SendAfter: timeOf(st.SendAfter), StartedAt: timeOf(st.StartedAt), FinishedAt: timeOf(st.FinishedAt), NextDueAt: timeOf(st.NextDueAt), EstimatedEnd: timeOf(st.EstimatedEnd),
		Held: st.Held, Fault: st.Fault, Rev: st.Rev, AsOf: st.AsOf,
	}
	if b.Tenant == "" {
		b.Tenant = starter.DefaultTenant
	}
	if st.State.Closed() {
		b.AsOf = read
	}
	if st.Counts != nil {
		b.Counts = *st.Counts
	}
	if st.RedriveOf != nil {
		b.RedriveOf = *st.RedriveOf
	}
	return b
}

// message is a message as its row tells of it.
func (r rowMaker) message(row *message.Row, others []string) index.Message {
	m := index.Message{
		Index: row.Index, ID: row.ID, To: row.To, Channel: row.Channel, Account: row.Account, Country: r.country(row.To), ProviderID: row.ProviderID,
		State: row.State, Code: row.Code, Detail: row.Detail, DueAt: timeOf(row.DueAt), SentAt: timeOf(row.SentAt), FinishedAt: timeOf(row.FinishedAt),
		Attempts: row.Attempts, Rev: row.Rev, Others: others,
	}
	if row.Reference != nil {
		m.Reference = *row.Reference
	}
	return m
}

// country is that of a phone number. The library takes 15 µs for one of North America.
func (r rowMaker) country(to string) string {
	if len(to) < countryDigits || to[0] != '+' {
		return phone.Country(to)
	}
	head := to[:countryDigits]
	if c, ok := r.countries.Get(head); ok {
		return c
	}
	c := phone.Country(to)
	r.countries.Add(head, c)
	return c
}

func timeOf(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}
