package message

import (
	"bytes"
	"cmp"
	"encoding/json"
	"unicode/utf8"
)

// maxPayload is what a payload of ours may have, in bytes of JSON, where it is not known
// that the server takes less. It refuses more than 2 MiB by default, and a workflow that
// cannot hand on or return its state would be stuck.
const maxPayload = 1_900_000

const (
	// defaultPayload is how many bytes the server takes in a payload by default.
	defaultPayload = 2 << 20
	// sealingPart is the part of a payload that is left for what sealing adds.
	sealingPart = 10
)

// RoomOf is how many bytes of JSON fit into a payload where the server takes limit bytes; 0
// is as many as Volley needs. A limit of 0 is not known.
func RoomOf(limit int64) int {
	if limit <= 0 || limit >= defaultPayload {
		return 0
	}
	return int(limit - limit/sealingPart)
}

// Sizes in JSON of what has no text, generously.
const (
	recordSize = 290
	rowSize    = 240
	entrySize  = 32
)

// shortDetail is what is left of details when there is no room for more.
const shortDetail = 40

// LeastRoom is how many bytes of JSON the records, or the rows, of n messages take that
// are cut as far as they can be, without what their batch says of them.
func LeastRoom(n int) int { return n * (recordSize + MaxCode + MaxDetail + shortDetail) }

// FitRecords returns the records' details and trails cut so that they fit into
// one payload of room bytes beside used bytes of other things; room 0 is 1.9 MB. Almost
// always nothing is cut; states, times and ids never are.
func FitRecords(records []Record, used, room int) ([]Record, Trails) {
	out := make([]Record, len(records))
	details := make([]*string, len(records))
	for i := range records {
		out[i] = records[i]
		details[i] = &out[i].Detail
		used += recordSize + jsonSize(out[i].Code) + jsonSize(out[i].ProviderID)
		if k := out[i].Early; k != nil {
			used += entrySize + jsonSize(k.Code) + jsonSize(k.ProviderID) + jsonSize(k.Detail)
		}
	}
	return out, fit(used, room, details, TrailsOf(records))
}

// FitRows does for a result's rows what FitRecords does for records, beside the status,
// which has the caller's metadata. It changes the rows.
func FitRows(st *Status, rows Rows, trails Trails, room int) Trails {
	used := 0
	if raw, err := json.Marshal(st); err == nil { // else the result has no JSON either
		used = len(raw)
	}
	details := make([]*string, len(rows))
	for i := range rows {
		details[i] = &rows[i].Detail
		used += rows[i].size()
	}
	return fit(used, room, details, trails)
}

// size is about how many bytes a row takes in JSON without its detail, generously.
func (r *Row) size() int {
	n := rowSize + jsonSize(r.To) + jsonSize(r.Given) + jsonSize(r.Channel) + jsonSize(r.Account) + jsonSize(r.ProviderID) + jsonSize(r.Code)
	if r.Reference != nil {
		n += jsonSize(*r.Reference)
	}
	return n
}

func fit(used, room int, details []*string, trails Trails) Trails {
	room = cmp.Or(room, maxPayload)
	long := 0
	for _, d := range details {
		long += jsonSize(*d)
	}
	if used+long+len(trails)*entrySize > room {
		long = 0
		for _, d := range details {
			*d = Clip(*d, shortDetail)
			long += jsonSize(*d)
		}
	}
	return trails.within(room - used - long)
}

// within cuts trails to room bytes: texts to a half of it, then entries, of which
// the last ones of each message stay longest.
func (t Trails) within(room int) Trails {
	entries, texts := 0, 0
	seen := map[string]bool{}
	for _, trail := range t {
		entries += len(trail)
		for _, e := range trail {
			for _, s := range []string{e.Code, e.Detail} {
				if !seen[s] {
					seen[s] = true
					texts += jsonSize(s) + 1
				}
			}
		}
	}
	texts = min(texts, maxTrailText)
	if texts+entries*entrySize <= room || len(t) == 0 {
		return t
	}
	if texts > room/2 {
		texts = 0
		t = t.withoutTexts()
	}
	most := (room - texts) / entrySize
	keep := max(most/len(t), 0)
	out := make(Trails, len(t))
	for i, trail := range t {
		if len(trail) <= keep {
			out[i] = trail
			continue
		}
		head := min(TrailHead, keep/2)
		out[i] = append(append([]Entry(nil), trail[:head]...), trail[len(trail)-(keep-head):]...)
	}
	return out
}

func (t Trails) withoutTexts() Trails {
	out := make(Trails, len(t))
	for i, trail := range t {
		out[i] = append([]Entry(nil), trail...)
		for j := range out[i] {
			out[i][j].Code, out[i][j].Detail = "", ""
		}
	}
	return out
}

// jsonSize is how many bytes a string takes in JSON as encoding/json writes it.
func jsonSize(s string) int {
	n := 2
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			switch {
			case c == '"' || c == '\\':
				n += 2
			case c < ' ' || c == '<' || c == '>' || c == '&' || c == 0x7f:
				n += 6
			default:
				n++
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || r == '\u2028' || r == '\u2029' {
			n += 6
		} else {
			n += size
		}
		i += size
	}
	return n
}

// ClipObject returns the leading members of a JSON object that fit into room
// bytes; nil when there are none or raw is no object.
func ClipObject(raw json.RawMessage, room int) json.RawMessage {
	// Marshalling escapes as the data converter will, so that sizes agree.
	plain, _ := json.Marshal(raw)
	dec := json.NewDecoder(bytes.NewReader(plain))
	if first, err := dec.Token(); err != nil || first != json.Delim('{') {
		return nil
	}
	end := 0
	for dec.More() {
		var value json.RawMessage
		if _, err := dec.Token(); err != nil || dec.Decode(&value) != nil {
			return nil
		}
		next := int(dec.InputOffset())
		if next+1 > room {
			break
		}
		end = next
	}
	if end == 0 {
		return nil
	}
	return append(plain[:end], '}')
}
