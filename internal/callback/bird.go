package callback

import (
	"encoding/json"
	"strings"

	"volley/internal/message"
)

// birdEvent is what Bird's Notifications API posts for an outgoing message of the
// Channels API: the message as it can be retrieved (Bird, Channels API, message
// status and interactions).
type birdEvent struct {
	Service string      `json:"service"`
	Event   string      `json:"event"`
	Payload birdMessage `json:"payload"`
}

type birdMessage struct {
	ID        string          `json:"id"`
	ChannelID string          `json:"channelId,omitempty"`
	Receiver  json.RawMessage `json:"receiver,omitempty"`
	Body      json.RawMessage `json:"body,omitempty"`
	Template  json.RawMessage `json:"template,omitempty"`
	Meta      json.RawMessage `json:"meta,omitempty"`
	Tags      json.RawMessage `json:"tags,omitempty"`
	Reference string          `json:"reference,omitempty"`
	Parts     []birdPart      `json:"parts,omitempty"`
	Status    string          `json:"status"`
	Reason    string          `json:"reason"`
	Direction string          `json:"direction"`
	Failure   *birdFailure    `json:"failure,omitempty"`
	StatusAt  string          `json:"lastStatusAt"`
	CreatedAt string          `json:"createdAt"`
	UpdatedAt string          `json:"updatedAt"`
	BatchID   string          `json:"batchId"`
}

type birdPart struct {
	PlatformReference string `json:"platformReference"`
}

type birdFailure struct {
	Code        string `json:"code"`
	Description string `json:"description"`
	Source      struct {
		Name string `json:"name"`
		Code string `json:"code"`
	} `json:"source"`
}

func (p *Poster) bird(e Event) birdEvent {
	r := &e.Rows[0]
	m := birdMessage{
		ID: r.ID, ChannelID: p.birdChannels[r.Account],
		Receiver: e.Asked.field("receiver"), Body: e.Asked.field("body"), Template: e.Asked.field("template"),
		Meta: e.Asked.field("meta"), Tags: e.Asked.field("tags"),
		Status: birdStatus(r.State), Reason: r.Detail, Direction: "outgoing",
		StatusAt: stamp(e.At), CreatedAt: stamp(e.Batch.CreatedAt), UpdatedAt: stamp(e.At), BatchID: e.Batch.ID,
	}
	if r.Reference != nil {
		m.Reference = *r.Reference
	}
	if r.ProviderID != "" {
		m.Parts = []birdPart{{r.ProviderID}}
	}
	if !r.State.Taken() || r.State == message.Undelivered {
		m.Failure = &birdFailure{Code: birdCode(r), Description: r.Detail}
		m.Failure.Source.Name, m.Failure.Source.Code = birdSource(r.State), r.Code
	}
	platform := strings.ToLower(r.Channel)
	if platform == "" {
		platform = "channels"
	}
	return birdEvent{Service: "channels", Event: platform + ".outbound", Payload: m}
}

// birdStatus is Bird's status of a message that has ended.
func birdStatus(s message.State) string {
	switch s {
	case message.Sent, message.Delivered, message.Rejected:
		return s.String()
	case message.Undelivered:
		return "delivery_failed"
	}
	return "sending_failed"
}

func birdSource(s message.State) string {
	switch s {
	case message.Rejected:
		return "pre-processing"
	case message.Undelivered:
		return "platform"
	}
	return "volley"
}

// Codes of Bird's failures: 11 of the request, 12 of the service, 15 of the
// platform (Bird, message failures). Only the first three are documented by number.
const (
	birdConfiguration = "11001"
	birdInput         = "11002"
	birdDependency    = "12001"
	birdUnsupported   = "12002"
	birdPlatform      = "15001"
)

// birdCode is the code of a failure: Bird's own where the message has one, else the
// nearest.
func birdCode(r *message.Row) string {
	if len(r.Code) == 5 && r.Code[0] == '1' && strings.Trim(r.Code, "0123456789") == "" {
		return r.Code
	}
	switch {
	case r.Code == message.CodeUnroutable:
		return birdConfiguration
	case r.State == message.Rejected:
		return birdInput
	case r.State == message.Undelivered:
		return birdPlatform
	case strings.HasPrefix(r.Code, "unsupported"):
		return birdUnsupported
	}
	return birdDependency
}
