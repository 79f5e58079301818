package message

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Record is what is known of one message while its batch runs. Times are Unix
// ms; 0 is none.
type Record struct {
	State State `json:"s"`
	// Hop is the hop that the next attempt takes, or that the last one took.
	Hop int `json:"h,omitempty"`
	// Attempts counts all attempts, HopAttempts those on this hop, Asked the
	// questions to the provider about the last doubtful one.
	Attempts    int `json:"a,omitempty"`
	HopAttempts int `json:"ha,omitempty"`
	Asked       int `json:"q,omitempty"`
	// Next is when it may move again; it is the due time before the first attempt.
	Next    int64 `json:"n,omitempty"`
	Due     int64 `json:"d"`
	Expires int64 `json:"x"`
	// Began is when the last attempt was handed over, Doubt when it ended without
	// an answer: then the provider is asked before anything else is done.
	Began int64 `json:"b,omitempty"`
	Doubt int64 `json:"u,omitempty"`
	// Unresolved is when the first of the attempts was handed over that may have arrived
	// although the message was tried again, because nobody could tell. Then it takes no
	// other hop, and no end of it says that it did not arrive.
	Unresolved int64 `json:"y,omitempty"`
	// Stop means that it was canceled while an attempt was under way: it gets no
	// other one.
	Stop     bool  `json:"c,omitempty"`
	Sent     int64 `json:"t,omitempty"`
	Finished int64 `json:"f,omitempty"`
	// ProviderID is the provider's id of the message.
	ProviderID string `json:"p,omitempty"`
	Code       string `json:"k,omitempty"`
	Detail     string `json:"e,omitempty"`
	// Await is until when a report is awaited of a message that a provider has taken;
	// its state is then Sending.
	Await int64 `json:"w,omitempty"`
	// Early is a report that came before it was known what had become of the attempt.
	Early *EarlyReport `json:"o,omitempty"`
	// Rev is the batch's change counter at the last change.
	Rev int64 `json:"r"`
	// Trail is the story of its attempts; Trails stores it apart.
	Trail []Entry `json:"-"`
}

// Event names what happened at one step of a message.
type Event string

// The events of a trail.
const (
	EventSent         Event = "sent"
	EventThrottled    Event = "throttled"
	EventUnavailable  Event = "unavailable"
	EventRejected     Event = "rejected"
	EventUnauthorized Event = "unauthorized"
	EventInvalid      Event = "invalid"
	EventAmbiguous    Event = "ambiguous"
	EventFound        Event = "found"
	EventAbsent       Event = "absent"
	EventExpired      Event = "expired"
	EventCanceled     Event = "canceled"
	EventDelivered    Event = "delivered"
	EventUndelivered  Event = "undelivered"
)

var events = []Event{
	EventSent, EventThrottled, EventUnavailable, EventRejected, EventUnauthorized,
	EventInvalid, EventAmbiguous, EventFound, EventAbsent, EventExpired,
	EventCanceled, EventDelivered, EventUndelivered,
}

// Entry is one step of a message.
type Entry struct {
	// At is in Unix ms.
	At      int64
	Hop     int
	Attempt int
	Event   Event
	Code    string
	Detail  string
}

// Bounds of what is kept for a message.
const (
	// TrailHead and TrailTail are how many entries are kept from each end.
	TrailHead = 5
	TrailTail = 15
	// MaxCode and MaxDetail bound a code and a detail, in bytes.
	MaxCode   = 64
	MaxDetail = 200
	// maxTrailText bounds all distinct texts of a batch's trails, in bytes; an
	// entry beyond it keeps its event and loses its detail.
	maxTrailText = 192 << 10
)

// Note adds an entry to the trail; from the sixth on only the last fifteen are kept.
func (r *Record) Note(e Entry) {
	e.Code, e.Detail = CleanCode(e.Code), Clip(e.Detail, MaxDetail)
	if len(r.Trail) >= TrailHead+TrailTail {
		copy(r.Trail[TrailHead:], r.Trail[TrailHead+1:])
		r.Trail[len(r.Trail)-1] = e
		return
	}
	r.Trail = append(r.Trail, e)
}

// CleanCode cuts a code to MaxCode bytes and puts _ for characters that no code
// has: a provider's code comes from its answer, which may be anything.
func CleanCode(s string) string {
	clean := strings.Map(func(r rune) rune {
		if r <= ' ' || r > '~' || strings.ContainsRune("\"\\<>&", r) {
			return '_'
		}
		return r
	}, s)
	return Clip(clean, MaxCode)
}

// Clip cuts s to at most n bytes without cutting a character in two.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xc0 == 0x80 {
		n--
	}
	return s[:n]
}

// Trails is the trails of a batch by message index. As JSON every distinct text
// stands once, so that a thousand long trails stay far below the size of one
// payload.
type Trails [][]Entry

// TrailsOf are those of records.
func TrailsOf(records []Record) Trails {
	t := make(Trails, len(records))
	for i := range records {
		t[i] = records[i].Trail
	}
	return t
}

type packedTrails struct {
	Texts   []string    `json:"texts"`
	Entries [][][]int64 `json:"entries"`
}

// MarshalJSON packs the trails.
func (t Trails) MarshalJSON() ([]byte, error) {
	p := packedTrails{Texts: []string{""}, Entries: make([][][]int64, len(t))}
	at := map[string]int64{"": 0}
	room := maxTrailText
	text := func(s string) int64 {
		if i, ok := at[s]; ok {
			return i
		}
		if room -= jsonSize(s) + 1; room < 0 {
			return 0
		}
		at[s] = int64(len(p.Texts))
		p.Texts = append(p.Texts, s)
		return at[s]
	}
	for i, trail := range t {
		rows := make([][]int64, len(trail))
		var last int64
		for j, e := range trail {
			rows[j] = []int64{e.At - last, int64(e.Hop), int64(e.Attempt), eventNumber(e.Event), text(e.Code), text(e.Detail)}
			last = e.At
		}
		p.Entries[i] = rows
	}
	return json.Marshal(p)
}

// UnmarshalJSON unpacks what MarshalJSON wrote.
func (t *Trails) UnmarshalJSON(b []byte) error {
	var p packedTrails
	if err := json.Unmarshal(b, &p); err != nil {
		return err
	}
	*t = make(Trails, len(p.Entries))
	for i, rows := range p.Entries {
		var last int64
		for _, r := range rows {
			if len(r) != 6 || !within(r[3], len(events)) || !within(r[4], len(p.Texts)) || !within(r[5], len(p.Texts)) {
				return fmt.Errorf("trail of message %d is damaged", i)
			}
			last += r[0]
			(*t)[i] = append((*t)[i], Entry{
				At: last, Hop: int(r[1]), Attempt: int(r[2]),
				Event: events[r[3]], Code: p.Texts[r[4]], Detail: p.Texts[r[5]],
			})
		}
	}
	return nil
}

func within(i int64, n int) bool { return i >= 0 && i < int64(n) }

func eventNumber(e Event) int64 {
	for i, v := range events {
		if v == e {
			return int64(i)
		}
	}
	return 0
}

// Size is about how many bytes the record takes in a ledger's JSON, generously.
func (r *Record) Size() int {
	n := recordSize + jsonSize(r.Code) + jsonSize(r.Detail) + jsonSize(r.ProviderID)
	if k := r.Early; k != nil {
		n += entrySize + jsonSize(k.Code) + jsonSize(k.ProviderID) + jsonSize(k.Detail)
	}
	for _, e := range r.Trail {
		n += entrySize + jsonSize(e.Code) + jsonSize(e.Detail)
	}
	return n
}
