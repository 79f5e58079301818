package starter

import (
	"time"

	"volley/internal/message"
)

// HoldDocument is a hold as JSON.
type HoldDocument struct {
	Selector
	By     string     `json:"by"`
	Reason string     `json:"reason"`
	Since  time.Time  `json:"since"`
	Until  *time.Time `json:"until"`
}

func documentOf(x *Hold) HoldDocument {
	d := HoldDocument{Selector: x.Selector, By: x.By, Reason: x.Reason, Since: time.UnixMilli(x.Since).UTC()}
	if x.Until != 0 {
		d.Until = message.At(x.Until)
	}
	return d
}

// HeldDocument answers a hold as JSON. What could not be counted is null.
type HeldDocument struct {
	Held     HoldDocument `json:"held"`
	Waiting  *int         `json:"waiting"`
	Expiring *int         `json:"expiring"`
	Sending  *int         `json:"sending"`
}

// Document is the result as JSON.
func (r *HoldResult) Document() HeldDocument {
	d := HeldDocument{Held: documentOf(&r.Hold)}
	if r.Messages.Known {
		d.Waiting, d.Expiring, d.Sending = &r.Messages.Waiting, &r.Messages.Expiring, &r.Messages.Sending
	}
	return d
}

// ReleasedDocument answers a release as JSON. What could not be counted is null.
type ReleasedDocument struct {
	Released []HoldDocument `json:"released"`
	Leaving  *int           `json:"leaving"`
	// Late is by how much the first of them is late, in seconds.
	Late *float64 `json:"lateSeconds"`
}

// Document is the result as JSON.
func (r *ReleaseResult) Document() ReleasedDocument {
	d := ReleasedDocument{Released: make([]HoldDocument, len(r.Released))}
	for i := range r.Released {
		d.Released[i] = documentOf(&r.Released[i])
	}
	if r.Messages.Known {
		late := r.Messages.Late.Round(time.Second).Seconds()
		d.Leaving, d.Late = &r.Messages.Leaving, &late
	}
	return d
}
