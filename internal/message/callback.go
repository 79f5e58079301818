package message

// Callbacks says where the events of a batch are delivered. It holds no secret:
// that is the tenant's, in the configuration.
type Callbacks struct {
	URL string `json:"url"`
	// Format is one of the Callback constants.
	Format string `json:"format,omitempty"`
	// Messages asks for an event per message also above 1,000 messages; a batch of up
	// to 1,000 always has them.
	Messages bool `json:"messages,omitempty"`
	// Path is where the caller's request asked for it, for problems; it is not kept.
	Path string `json:"-"`
}

// The shapes of callbacks.
const (
	// CallbackVolley is Volley's own, signed as Standard Webhooks says.
	CallbackVolley = "volley"
	// CallbackSinch is Sinch's MESSAGE_DELIVERY and BATCH_STATUS_UPDATE.
	CallbackSinch = "sinch"
	// CallbackBird is Bird's event of the Channels API.
	CallbackBird = "bird"
)

// CallbackFormat returns the callback format for a dialect where the caller chose none:
// the dialect's own, if it has one.
func CallbackFormat(dialect string) string {
	switch dialect {
	case CallbackSinch, CallbackBird:
		return dialect
	}
	return CallbackVolley
}
