package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"volley/internal/index"
	"volley/internal/message"
)

// words writes times and numbers as a person reads them, seen from now and in its zone.
type words struct{ now time.Time }

// zoneWord is what the zone is called after a time.
func zoneWord(t time.Time) string {
	if name := t.Format("MST"); name != "" && unicode.IsLetter(rune(name[0])) {
		return name
	}
	return "UTC" + t.Format("-07:00")
}

// Clock is a time of day with its zone, and its day where that is another one:
// 10:02:13 CET, Tue 10:02 CET, 3 Nov 10:02 CET.
func (w *words) Clock(at any) string {
	t, ok := timeOf(at)
	if !ok {
		return ""
	}
	t = t.In(w.now.Location())
	return w.day(t) + t.Format("15:04:05 ") + zoneWord(t)
}

// When is Clock without seconds.
func (w *words) When(at any) string {
	t, ok := timeOf(at)
	if !ok {
		return ""
	}
	t = t.In(w.now.Location())
	return w.day(t) + t.Format("15:04 ") + zoneWord(t)
}

func (w *words) day(t time.Time) string {
	switch d := t.Sub(w.now).Abs(); {
	case t.Format(time.DateOnly) == w.now.Format(time.DateOnly):
		return ""
	case d < 6*24*time.Hour:
		return t.Format("Mon ")
	case d < 300*24*time.Hour:
		return t.Format("2 Jan ")
	}
	return t.Format("2 Jan 2006 ")
}

// Exact is a time for machines, and RFC 3339.
func (w *words) Exact(at any) string {
	t, ok := timeOf(at)
	if !ok {
		return ""
	}
	return t.In(w.now.Location()).Format(time.RFC3339)
}

// Ago is how long ago a time was, or in how long it comes.
func (w *words) Ago(at any) string {
	t, ok := timeOf(at)
	if !ok {
		return ""
	}
	d := t.Sub(w.now)
	switch {
	case d.Abs() < time.Second:
		return "now"
	case d < 0:
		return span(-d) + " ago"
	}
	return "in " + span(d)
}

// For is how long something has gone on.
func (w *words) For(at any) string {
	t, ok := timeOf(at)
	if !ok {
		return ""
	}
	return span(w.now.Sub(t))
}

func timeOf(at any) (time.Time, bool) {
	switch t := at.(type) {
	case time.Time:
		return t, !t.IsZero()
	case *time.Time:
		if t != nil {
			return *t, !t.IsZero()
		}
	}
	return time.Time{}, false
}

// span writes a duration with its largest unit, or two where the first one is small.
func span(d time.Duration) string {
	s := int64(d.Abs().Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%d s", s)
	case s < 3600:
		return fmt.Sprintf("%d min", s/60)
	case s < 86400:
		if m := s % 3600 / 60; m > 0 && s < 6*3600 {
			return fmt.Sprintf("%d h %d min", s/3600, m)
		}
		return fmt.Sprintf("%d h", s/3600)
	}
	return message.Plural(int(s/86400), "day")
}

// Num writes 5,000.
func (w *words) Num(n int) string { return message.Number(n) }

// Things writes 5,000 messages.
func (w *words) Things(n int, noun string) string { return message.Plural(n, noun) }

// Percent writes a share of 1; a share that is not all is never 100 %.
func (w *words) Percent(share float64) string {
	switch {
	case share >= 1:
		return "100 %"
	case share > 0.999:
		return "99.9 %"
	case share >= 0.99:
		return fmt.Sprintf("%.1f %%", share*100)
	}
	return fmt.Sprintf("%.0f %%", share*100)
}

// Tone is how a state looks: the colour and the icon of its mark.
type Tone string

// The tones.
const (
	toneGood Tone = "good"
	toneBad  Tone = "bad"
	toneWarn Tone = "warn"
	toneWait Tone = "wait"
	toneBusy Tone = "busy"
	toneOff  Tone = "off"
)

// Mark is a state as it is shown: word, icon and colour.
type Mark struct {
	Word string
	Tone Tone
}

// Mark is that of a message's or a batch's state.
func (w *words) Mark(state any) Mark {
	switch s := state.(type) {
	case message.State:
		return Mark{stateWord(s), stateTone(s)}
	case message.BatchState:
		return Mark{string(s), batchTone(s)}
	}
	return Mark{fmt.Sprint(state), toneOff}
}

func stateWord(s message.State) string {
	switch s {
	case message.Undelivered:
		return "not delivered"
	case message.Sending:
		return "sending"
	}
	return s.Text()
}

func stateTone(s message.State) Tone {
	switch s {
	case message.Sent, message.Delivered:
		return toneGood
	case message.Failed, message.Undelivered, message.Rejected:
		return toneBad
	case message.Expired, message.Unknown, message.Retrying:
		return toneWarn
	case message.Scheduled, message.Accepted:
		return toneWait
	case message.Sending:
		return toneBusy
	}
	return toneOff
}

func batchTone(s message.BatchState) Tone {
	switch s {
	case message.BatchCompleted:
		return toneGood
	case message.BatchFailed:
		return toneBad
	case message.BatchPaused, message.BatchCanceling:
		return toneWarn
	case message.BatchRunning:
		return toneBusy
	case message.BatchScheduled:
		return toneWait
	}
	return toneOff
}

// sentence begins with a capital letter and ends with a full stop.
func sentence(err error) string {
	s := strings.TrimSpace(err.Error())
	if s == "" {
		return ""
	}
	first, size := utf8.DecodeRuneInString(s)
	s = string(unicode.ToUpper(first)) + s[size:]
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// campaignOf is what people call a batch: the metadata of the first search key, or its id.
func (c *Console) campaignOf(id string, metadata json.RawMessage) string {
	if len(c.o.SearchMetadata) == 0 {
		return id
	}
	var all map[string]any
	if json.Unmarshal(metadata, &all) != nil {
		return id
	}
	name, _ := all[c.o.SearchMetadata[0]].(string)
	return cmp.Or(strings.TrimSpace(name), id)
}

// campaignsOf is what people call batches, where the index knows; the others are not in it.
func (c *Console) campaignsOf(v *visit, batches []index.BatchName) map[index.BatchName]string {
	names := map[index.BatchName]string{}
	for some := range slices.Chunk(batches, 100) {
		page, err := c.o.Index.Batches(v.Context(), index.BatchesQuery{Only: some, Limit: len(some)})
		if err != nil { // their ids do
			return names
		}
		for i := range page.Batches {
			b := &page.Batches[i]
			names[index.BatchName{Tenant: b.Tenant, ID: b.ID}] = v.person.MaskText(c.campaignIn(b))
		}
	}
	return names
}

// campaignIn is what people call a batch of the index.
func (c *Console) campaignIn(b *index.Batch) string {
	if len(c.o.SearchMetadata) == 0 {
		return b.ID
	}
	return cmp.Or(strings.TrimSpace(b.Metadata[c.o.SearchMetadata[0]]), b.ID)
}

// campaignKey is the metadata key under which campaigns have their names.
func (c *Console) campaignKey() string {
	if len(c.o.SearchMetadata) == 0 {
		return "campaign"
	}
	return c.o.SearchMetadata[0]
}

// providerName is a provider as its own company writes it; empty is that there is none.
func providerName(provider string) string {
	if provider == "" {
		return ""
	}
	return message.ProviderName(provider, provider)
}
