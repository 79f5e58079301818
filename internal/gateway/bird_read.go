package gateway

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"

	"volley/internal/dialect"
	"volley/internal/message"
	"volley/starter"
)

// Bounds of a page (Bird, common API usage), and of what is looked at for one that
// names no batch.
const (
	birdLimit    = 10
	birdMaxLimit = 100
	birdListed   = 20
	birdPages    = 2
)

// birdQuery is what a list of messages is asked for.
type birdQuery struct {
	batch string
	limit int
	// states are those that are wanted; nil is all.
	states []message.State
	// from is the first moment of acceptance that counts, until the first that does
	// not; zero is no bound.
	from, until time.Time
	at          birdToken
}

// birdToken marks where a page begins: at a message of the batch that the query names,
// or, without a batch, on a page of batches. Batches may start, end and vanish between
// two pages, so the token holds what was shown and not a position.
type birdToken struct {
	Cursor string `json:"c,omitempty"`
	// Batch was shown up to the message at Index.
	Batch string `json:"b,omitempty"`
	Index int    `json:"i,omitempty"`
	// Done are the hashes of the batches that were shown last, of each all messages.
	Done []byte `json:"d,omitempty"`
	// Began is when the first page was asked for, in Unix ms.
	Began int64 `json:"t,omitempty"`
}

const (
	// birdHash is the length of a hash in a token. birdDone is the most hashes in one:
	// as many batches as one answer may look at.
	birdHash = 8
	birdDone = birdPages * birdListed
	// birdSkew is by how much the clocks of gateways may differ.
	birdSkew = time.Minute
)

func birdHashOf(batch string) []byte {
	return binary.BigEndian.AppendUint64(nil, xxhash.Sum64String(batch))
}

// finish notes that all of a batch was shown.
func (t *birdToken) finish(batch string) {
	done := slices.Concat(t.Done, birdHashOf(batch))
	t.Done = done[max(0, len(done)-birdDone*birdHash):]
}

// passes reports whether to leave a batch out: it was shown already, or it was accepted
// after the first page, where new batches would keep a reader from ever reaching the
// end.
func (t *birdToken) passes(st *message.Status) bool {
	if st.CreatedAt.After(time.UnixMilli(t.Began).Add(birdSkew)) {
		return true
	}
	for hash := range slices.Chunk(t.Done, birdHash) {
		if bytes.Equal(hash, birdHashOf(st.ID)) {
			return true
		}
	}
	return false
}

// from is the first message of a batch that was not shown.
func (t *birdToken) from(batch string) int {
	if batch == t.Batch {
		return t.Index
	}
	return 0
}

func (t *birdToken) encode() string {
	if t == nil {
		return ""
	}
	raw, _ := json.Marshal(t) // texts and a number always encode
	return base64.RawURLEncoding.EncodeToString(raw)
}

func (t *birdToken) decode(s string) error {
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(raw, t)
	}
	if err == nil && (t.Index < 0 || len(t.Done)%birdHash != 0 || len(t.Done) > birdDone*birdHash) {
		err = errors.New("none that was encoded")
	}
	return err
}

// birdQueryOf reads the parameters of a list. Those that it does not know change
// nothing, as Bird does not say that it refuses any.
func birdQueryOf(r tenantRequest) (*birdQuery, error) {
	values := r.URL.Query()
	q := &birdQuery{batch: values.Get("batchId"), limit: birdLimit}
	var problems message.Problems
	wrong := func(name, code, why string) { problems.Add(message.WholeBatch, name, code, why) }
	if s := values.Get("limit"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			wrong("limit", message.CodeRange, "expected a number above 0")
		}
		q.limit = min(n, birdMaxLimit)
	}
	if s := values.Get("pageToken"); s != "" && q.at.decode(s) != nil {
		wrong("pageToken", message.CodeFormat, birdMadeUp)
	}
	if s := values.Get("status"); s != "" {
		if q.states = dialect.BirdStates(s); len(q.states) == 0 {
			wrong("status", message.CodeEnum, "expected accepted, scheduled, sent, delivered, sending_failed, delivery_failed or rejected")
		}
	}
	switch values.Get("direction") {
	case "", "outgoing":
	case "incoming":
		q.states = []message.State{}
	default:
		wrong("direction", message.CodeEnum, "expected incoming or outgoing")
	}
	moment := func(name string) time.Time {
		t, err := message.ParseRFC3339(values.Get(name))
		if err != nil && values.Get(name) != "" {
			wrong(name, message.CodeFormat, "expected an RFC 3339 time")
		}
		return t
	}
	q.from, q.until = moment("startAt"), moment("endAt")
	if len(problems) == 0 {
		return q, nil
	}
	f := fail(http.StatusUnprocessableEntity, codeInvalid, "the query is invalid")
	f.problems = problems
	return nil, f
}

// covers reports whether messages that were accepted at a moment are wanted.
func (q *birdQuery) covers(at time.Time) bool {
	return !at.Before(q.from) && (q.until.IsZero() || at.Before(q.until))
}

func (q *birdQuery) wants(row *message.Row) bool {
	return q.states == nil || slices.Contains(q.states, row.State)
}

// birdBatch is a batch that came in over Bird's calls, with its rows as they are
// now, in the order of the request.
type birdBatch struct {
	*message.Batch
	rows []message.Row
}

// page shows at most room of the wanted messages from an index on. next is the index
// of the first that has no room, below 0 if there is none.
func (q *birdQuery) page(b *birdBatch, from, room int) (shown []json.RawMessage, next int) {
	for i := range b.rows {
		row := &b.rows[i]
		if row.Index < from || !q.wants(row) {
			continue
		}
		if len(shown) == room {
			return shown, row.Index
		}
		shown = append(shown, dialect.BirdMessage(b.Batch, row))
	}
	return shown, -1
}

// birdList lists the messages of a channel: those of one batch in their order, or of
// all batches.
func (g *Gateway) birdList(w http.ResponseWriter, r tenantRequest) error {
	q, err := birdQueryOf(r)
	if err != nil {
		return err
	}
	if q.batch == "" {
		return g.birdListAll(w, r, q)
	}
	ref := starter.Ref{Tenant: r.tenant.Tenant, ID: q.batch}
	if !starter.ValidID(ref.ID) {
		return notFound("batch not found")
	}
	b, err := g.birdRead(r, ref)
	if err != nil {
		return err
	}
	total := 0
	var shown []json.RawMessage
	next := -1
	if q.covers(b.CreatedAt) {
		shown, next = q.page(b, q.at.Index, q.limit)
		for i := range b.rows {
			if q.wants(&b.rows[i]) {
				total++
			}
		}
	}
	var token *birdToken
	if next >= 0 {
		token = &birdToken{Index: next}
	}
	writeJSON(w, http.StatusOK, dialect.BirdPage(shown, token.encode(), total))
	return nil
}

// birdListAll lists the messages of all batches of a channel, batches that are open
// first, then the newest. A page may have room left and another one behind it, since
// only so many batches are looked at.
func (g *Gateway) birdListAll(w http.ResponseWriter, r tenantRequest, q *birdQuery) error {
	if _, err := g.birdAccount(r.tenant, birdPlace(r)); err != nil {
		return err
	}
	if err := g.admitBatches(r.tenant, birdListed); err != nil { // each batch is asked
		return err
	}
	var all []json.RawMessage
	next := &q.at
	if next.Began == 0 {
		next.Began = g.o.Now().UnixMilli()
	}
	for range birdPages {
		var shown []json.RawMessage
		var full bool
		var err error
		shown, next, full, err = g.birdListSome(r, q, *next, q.limit-len(all))
		if err != nil {
			return err
		}
		if all = append(all, shown...); next == nil || full {
			break
		}
	}
	writeJSON(w, http.StatusOK, dialect.BirdPage(all, next.encode(), -1))
	return nil
}

// birdListSome lists what there is room for of one page of batches. next is where to
// go on, nil at the end.
func (g *Gateway) birdListSome(r tenantRequest, q *birdQuery, at birdToken, room int) (shown []json.RawMessage, next *birdToken, full bool, err error) {
	if q.states != nil && len(q.states) == 0 {
		return nil, nil, false, nil
	}
	list, err := g.o.Batches.List(r.Context(), starter.ListQuery{Tenant: r.tenant.Tenant, Dialect: "bird", Limit: birdListed, Cursor: at.Cursor})
	if errors.Is(err, starter.ErrInvalid) && at.Cursor != "" {
		return nil, nil, false, birdNoToken()
	}
	if err != nil {
		return nil, nil, false, err
	}
	for i := range list.Batches {
		st := &list.Batches[i]
		if at.passes(st) || !q.covers(st.CreatedAt) || dialect.BirdChannelIn(st.Metadata) != birdPlace(r) {
			continue
		}
		if len(shown) == room {
			return shown, &at, true, nil
		}
		b, err := g.birdRead(r, starter.Ref{Tenant: r.tenant.Tenant, ID: st.ID})
		if errors.Is(err, starter.ErrNotFound) {
			continue // it has just been deleted
		}
		if g.leavesOut(r, st.ID, err) {
			at.finish(st.ID)
			continue
		}
		if err != nil {
			return nil, nil, false, err
		}
		some, index := q.page(b, at.from(st.ID), room-len(shown))
		if shown = append(shown, some...); index >= 0 {
			at.Batch, at.Index = st.ID, index
			return shown, &at, true, nil
		}
		at.finish(st.ID)
	}
	if list.Next == "" {
		return shown, nil, false, nil
	}
	at.Cursor = list.Next
	return shown, &at, false, nil
}

// birdNoToken is the failure of a page token that no page gave.
func birdNoToken() *failure {
	f := fail(http.StatusUnprocessableEntity, codeInvalid, "the query is invalid")
	f.problems.Add(message.WholeBatch, "pageToken", message.CodeFormat, birdMadeUp)
	return f
}

// birdMadeUp is what is wrong with such a token.
const birdMadeUp = "is none that a page gave"

// birdRead reads a batch that came in over the channel of a path, or over any of its
// workspace where it names none.
func (g *Gateway) birdRead(r tenantRequest, ref starter.Ref) (*birdBatch, error) {
	accepted, err := g.birdAccepted(r, ref)
	if err != nil {
		return nil, err
	}
	// A batch has at most 100 messages, which are one page. In one that is too large for
	// one workflow they come in the order of their due times.
	page, err := g.pages.get(r.Context(), pageKey{Ref: ref, PageQuery: message.PageQuery{Limit: message.MaxPage}})
	if err != nil {
		return nil, err
	}
	rows := slices.SortedFunc(slices.Values(page.Messages), func(a, b message.Row) int { return cmp.Compare(a.Index, b.Index) })
	return &birdBatch{Batch: accepted, rows: rows}, nil
}

// birdAccepted is the batch as it was accepted, which must have come in over the
// path of the request.
func (g *Gateway) birdAccepted(r tenantRequest, ref starter.Ref) (*message.Batch, error) {
	b, err := g.o.Batches.Accepted(r.Context(), ref)
	if err != nil {
		return nil, err
	}
	at, want := dialect.BirdChannelIn(b.Metadata), birdPlace(r)
	if b.Dialect != "bird" || at.Workspace != want.Workspace || want.Channel != "" && at.Channel != want.Channel {
		return nil, notFound("there is no such batch or message in this channel")
	}
	return b, nil
}

// birdMessage answers with one message.
func (g *Gateway) birdMessage(w http.ResponseWriter, r tenantRequest) error {
	id := r.PathValue("id")
	ref, err := g.o.Batches.Find(r.Context(), r.tenant.Tenant, id)
	if err != nil {
		return err
	}
	b, err := g.birdAccepted(r, ref)
	if err != nil {
		return err
	}
	row, err := g.o.Batches.Message(r.Context(), ref, id)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, dialect.BirdMessage(b, &row))
	return nil
}
