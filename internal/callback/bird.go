package callback

import (
	"encoding/json"
	"strings"

	"volley/internal/dialect"
	"volley/internal/message"
)

// birdEvent is what Bird's Notifications API posts for an outgoing message of the
// Channels API: the message as it can be retrieved (Bird, Channels API, message
// status and interactions).
type birdEvent struct {
	Service string          `json:"service"`
	Event   string          `json:"event"`
	Payload json.RawMessage `json:"payload"`
}

func (p *Poster) bird(e Event) birdEvent {
	r := e.Rows[0]
	b := message.Batch{Metadata: e.Batch.Metadata, CreatedAt: e.Batch.CreatedAt}
	if dialect.BirdChannelIn(b.Metadata).Channel == "" { // it did not come in over Bird's paths
		b.Metadata = dialect.BirdChannel{Channel: p.birdChannels[r.Account]}.Metadata()
	}
	if e.Batch.Dialect == message.CallbackBird {
		b.Messages = []message.Message{e.Request.Message}
	}
	r.Index = 0 // the one message there is
	platform := strings.ToLower(r.Channel)
	if platform == "" {
		platform = "channels"
	}
	return birdEvent{Service: "channels", Event: platform + ".outbound", Payload: dialect.BirdMessage(&b, &r)}
}
