package message

// Report is what a provider says of a message after it has taken it: a delivery
// report.
type Report struct {
	// ID is the message's own id, which travels with it to the provider.
	ID string `json:"id"`
	// State is Delivered or Undelivered.
	State State `json:"state"`
	// At is when it happened by the provider's clock, in Unix ms; 0 is not told.
	At int64 `json:"at,omitempty"`
	// Account is the one through which the message went.
	Account string `json:"account"`
	// ProviderID is the provider's id of the message, or empty.
	ProviderID string `json:"providerId,omitempty"`
	Code       string `json:"code,omitempty"`
	Detail     string `json:"detail,omitempty"`
}

// MaxReports is how many reports one signal brings at most.
const MaxReports = 500
