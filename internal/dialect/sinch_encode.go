package dialect

import (
	"bytes"
	"encoding/json"
	"time"

	"volley/internal/message"
)

// The states of a batch in Sinch's Batch API. How one follows another is not
// documented.
const (
	SinchReady     = "READY"
	SinchScheduled = "SCHEDULED"
	SinchProcessed = "PROCESSED"
	SinchCancelled = "CANCELLED"
)

// SinchBatchID is the key of the batch's id that Sinch adds to metadata.
const SinchBatchID = sinchBatchID

// SinchAccepted is Sinch's answer to a batch that it takes (Sinch, batch: response
// 200).
type SinchAccepted struct {
	BatchID   string `json:"batch_id"`
	SendAfter string `json:"send_after"`
}

// SinchBatch is a batch as Sinch tells of it afterwards (Sinch, batch: get batch
// status).
type SinchBatch struct {
	BatchID   string          `json:"batch_id"`
	MetaData  json.RawMessage `json:"meta_data"`
	Status    string          `json:"status"`
	SendAfter string          `json:"send_after"`
}

// EncodeSinchAccepted answers a start. sendAfter is the batch's own due time, created
// the moment of its acceptance, which stands where there is none.
func EncodeSinchAccepted(id string, sendAfter *time.Time, created time.Time) SinchAccepted {
	return SinchAccepted{BatchID: id, SendAfter: sinchTime(sendAfter, created)}
}

// EncodeSinchBatch shows a batch. Its metadata has _batch_id added, as Sinch adds it.
func EncodeSinchBatch(st message.Status) SinchBatch {
	return SinchBatch{
		BatchID: st.ID, MetaData: sinchMeta(st), Status: SinchStatus(st), SendAfter: sinchTime(st.SendAfter, st.CreatedAt),
	}
}

// SinchStatus is where a batch stands in Sinch's words. A batch that is due and has
// not ended is READY, one that Temporal ended is as processed as it will be, and
// nothing more leaves of one that is being cancelled.
func SinchStatus(st message.Status) string {
	switch st.State {
	case message.BatchScheduled:
		return SinchScheduled
	case message.BatchPaused:
		if st.SendAfter != nil && st.SendAfter.After(st.AsOf) {
			return SinchScheduled
		}
		return SinchReady
	case message.BatchCanceling, message.BatchCanceled:
		return SinchCancelled
	case message.BatchCompleted, message.BatchFailed:
		return SinchProcessed
	default:
		return SinchReady
	}
}

// sinchTime writes a time in UTC and whole seconds, as Sinch does.
func sinchTime(t *time.Time, otherwise time.Time) string {
	if t == nil {
		t = &otherwise
	}
	return t.UTC().Format(time.RFC3339)
}

// sinchMeta is a batch's metadata with its id.
func sinchMeta(st message.Status) json.RawMessage {
	var b builder
	n, problems := open(st.Metadata)
	if problems == nil {
		var r reader
		if o, ok := r.object(n); ok {
			for _, f := range o.fields {
				if f.key != sinchBatchID {
					b.add(f.key, f.raw)
				}
			}
		}
	}
	b.addText(sinchBatchID, st.ID)
	return b.object()
}

// SinchTarget is what of a request decides through which account it goes: its app
// and its order of channels. What cannot be read is empty, and decoding says why.
func SinchTarget(body []byte) (app string, order []string) {
	var v struct {
		App   string   `json:"app_id"`
		Order []string `json:"channel_priority_order"`
	}
	_ = json.Unmarshal(bytes.TrimPrefix(body, []byte("\ufeff")), &v)
	return v.App, v.Order
}
