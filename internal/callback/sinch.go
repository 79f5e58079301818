package callback

import (
	"cmp"
	"encoding/json"
	"slices"

	"volley/internal/message"
)

// sinchEvent is a callback of the Conversation API (Sinch, Conversation API,
// callbacks). Exactly one of the two bodies is there.
type sinchEvent struct {
	AppID     string       `json:"app_id"`
	Accepted  string       `json:"accepted_time"`
	At        string       `json:"event_time"`
	ProjectID string       `json:"project_id"`
	Report    *sinchReport `json:"message_delivery_report,omitempty"`
	Status    *sinchUpdate `json:"batch_status_update_notification,omitempty"`
	Metadata  string       `json:"message_metadata"`
	// Correlation is the request's correlation_id.
	Correlation string `json:"correlation_id"`
}

type sinchReport struct {
	MessageID      string         `json:"message_id"`
	ConversationID string         `json:"conversation_id"`
	Status         string         `json:"status"`
	Identity       *sinchIdentity `json:"channel_identity,omitempty"`
	ContactID      string         `json:"contact_id"`
	Reason         *sinchReason   `json:"reason,omitempty"`
	Metadata       string         `json:"metadata"`
	Mode           string         `json:"processing_mode"`
}

type sinchIdentity struct {
	Channel  string `json:"channel"`
	Identity string `json:"identity"`
	AppID    string `json:"app_id"`
}

type sinchReason struct {
	Code        string `json:"code"`
	Description string `json:"description"`
	SubCode     string `json:"sub_code"`
}

type sinchUpdate struct {
	BatchID string `json:"batch_id"`
	Status  string `json:"batch_status"`
	Type    string `json:"batch_type"`
	Data    struct {
		Batch struct {
			SendAfter string          `json:"send_after,omitempty"`
			Metadata  json.RawMessage `json:"batch_metadata"`
		} `json:"message_batch_data"`
	} `json:"additional_data"`
}

func (p *Poster) sinch(tenant string, e Event) sinchEvent {
	out := sinchEvent{
		AppID: text(e.Request.field("app_id")), Accepted: stamp(e.Batch.CreatedAt), At: stamp(e.At),
		ProjectID: p.sinchProject(tenant, e), Correlation: text(e.Request.field("correlation_id")),
	}
	if len(e.Rows) == 0 {
		u := &sinchUpdate{BatchID: e.Batch.ID, Status: sinchStatus(e.Type), Type: "BATCH_TYPE_MESSAGES"}
		u.Data.Batch.Metadata = e.Batch.Metadata
		if len(u.Data.Batch.Metadata) == 0 {
			u.Data.Batch.Metadata = json.RawMessage("{}")
		}
		if e.Batch.SendAfter != nil {
			u.Data.Batch.SendAfter = stamp(*e.Batch.SendAfter)
		}
		out.Status = u
		return out
	}
	r := &e.Rows[0]
	out.Metadata = sinchMetadata(e)
	out.Report = &sinchReport{
		MessageID: r.ID, Status: sinchDelivery(r.State), Metadata: out.Metadata, Mode: "DISPATCH",
	}
	out.Report.Identity, out.Report.ContactID = sinchRecipient(&e.Request, r)
	if out.Report.Identity != nil {
		out.Report.Identity.AppID = out.AppID
	}
	if out.Report.Status == "FAILED" {
		out.Report.Reason = &sinchReason{Code: sinchCode(r), Description: r.Detail, SubCode: "UNSPECIFIED_SUB_CODE"}
	}
	return out
}

// sinchProject is the project of the request's app, else of the account that sends, else
// the tenant's own. Empty is not known.
func (p *Poster) sinchProject(tenant string, e Event) string {
	account := e.Batch.Account
	if len(e.Rows) > 0 {
		account = e.Rows[0].Account
	}
	known := p.tenants[tenant]
	return cmp.Or(known.SinchApps[text(e.Request.field("app_id"))], p.sinchProjects[account], known.SinchProject)
}

// sinchStatus is the state of Sinch's that an event of a batch tells of; empty is
// none.
func sinchStatus(typ string) string {
	switch typ {
	case TypeStarted:
		return "BATCH_STATUS_READY"
	case typeBatch + string(message.BatchCompleted), typeBatch + string(message.BatchFailed):
		return "BATCH_STATUS_PROCESSED"
	case typeBatch + string(message.BatchCanceled):
		return "BATCH_STATUS_CANCELLED"
	}
	return ""
}

func sinchDelivery(s message.State) string {
	switch s {
	case message.Sent:
		return "QUEUED_ON_CHANNEL"
	case message.Delivered:
		return "DELIVERED"
	}
	return "FAILED"
}

// sinchMetadata is what the caller's receipts carry: its own metadata with the
// batch's id, as a string.
func sinchMetadata(e Event) string {
	o := object(e.Request.field("message_metadata"))
	if o == nil {
		o = object(e.Request.Message.Metadata)
	}
	if o == nil {
		o = map[string]json.RawMessage{}
	}
	o["_batch_id"] = message.AppendJSON(nil, e.Batch.ID)
	out, err := message.EncodeJSON(o)
	if err != nil {
		return ""
	}
	return string(out)
}

// sinchRecipient is the contact, or the identity on the channel that Sinch used. Where
// the recipient has none there, as when a request leaves the channel to Sinch, it is
// the identity that the message is for.
func sinchRecipient(a *Request, r *message.Row) (*sinchIdentity, string) {
	var to struct {
		ContactID    string `json:"contact_id"`
		IdentifiedBy struct {
			Identities []sinchIdentity `json:"channel_identities"`
		} `json:"identified_by"`
	}
	if raw := a.field("recipient"); len(raw) > 0 && json.Unmarshal(raw, &to) == nil && to.ContactID != "" {
		return nil, to.ContactID
	}
	for _, taken := range []func(id sinchIdentity) bool{
		func(id sinchIdentity) bool { return id.Channel == r.Channel && id.Identity == r.Written() },
		func(id sinchIdentity) bool { return id.Channel == r.Channel },
		func(id sinchIdentity) bool { return id.Identity == r.Written() },
	} {
		if i := slices.IndexFunc(to.IdentifiedBy.Identities, taken); i >= 0 {
			id := to.IdentifiedBy.Identities[i]
			return &sinchIdentity{Channel: id.Channel, Identity: id.Identity}, ""
		}
	}
	return &sinchIdentity{Channel: r.Channel, Identity: r.Written()}, ""
}

// sinchReasons are the reasons that the Conversation API's SDK knows.
var sinchReasons = []string{
	"UNKNOWN", "INTERNAL_ERROR", "RATE_LIMITED", "RECIPIENT_INVALID_CHANNEL_IDENTITY", "RECIPIENT_NOT_REACHABLE",
	"RECIPIENT_NOT_OPTED_IN", "OUTSIDE_ALLOWED_SENDING_WINDOW", "CHANNEL_FAILURE", "CHANNEL_BAD_CONFIGURATION",
	"CHANNEL_CONFIGURATION_MISSING", "MEDIA_TYPE_UNSUPPORTED", "MEDIA_TOO_LARGE", "MEDIA_NOT_REACHABLE", "NO_CHANNELS_LEFT",
	"TEMPLATE_NOT_FOUND", "TEMPLATE_INSUFFICIENT_PARAMETERS", "TEMPLATE_NON_EXISTING_LANGUAGE_OR_VERSION",
	"DELIVERY_TIMED_OUT", "DELIVERY_REJECTED_DUE_TO_POLICY", "CONTACT_NOT_FOUND", "BAD_REQUEST", "UNKNOWN_APP",
	"NO_CHANNEL_IDENTITY_FOR_CONTACT", "CHANNEL_REJECT", "NO_PERMISSION", "NO_PROFILE_AVAILABLE", "UNSUPPORTED_OPERATION",
	"INACTIVE_CREDENTIAL", "MESSAGE_EXPIRED", "MESSAGE_SPLIT_REQUIRED", "DELIVERY_REPORT_TIME_OUT",
}

// sinchCode is the reason of a message that did not arrive: Sinch's own where the
// message has one, else the nearest.
func sinchCode(r *message.Row) string {
	if slices.Contains(sinchReasons, r.Code) {
		return r.Code
	}
	switch r.State {
	case message.Expired:
		return "MESSAGE_EXPIRED"
	case message.Undelivered:
		return "CHANNEL_FAILURE"
	case message.Canceled, message.Unknown:
		return "UNKNOWN"
	case message.Rejected:
		switch r.Code {
		case message.CodeUnroutable:
			return "NO_CHANNELS_LEFT"
		case message.CodeRecipient:
			return "RECIPIENT_INVALID_CHANNEL_IDENTITY"
		case message.CodeParameter:
			return "TEMPLATE_INSUFFICIENT_PARAMETERS"
		}
		return "BAD_REQUEST"
	}
	switch r.Code {
	case "http_429":
		return "RATE_LIMITED"
	case "http_401", "http_403":
		return "NO_PERMISSION"
	case "http_400", "http_422":
		return "BAD_REQUEST"
	case "no_account":
		return "CHANNEL_CONFIGURATION_MISSING"
	case message.CodeStore:
		return "INTERNAL_ERROR"
	}
	return "CHANNEL_FAILURE"
}
