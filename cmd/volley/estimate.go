package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"volley/internal/config"
	"volley/internal/intake"
	"volley/internal/message"
)

// showEstimate tells a person what a batch will take, in one or two lines. limited is
// false where none of its accounts has a rate.
func (a *app) showEstimate(e *message.Estimate, limited bool) {
	if e == nil {
		return
	}
	a.showSize(e)
	if line := strings.TrimPrefix(ending(e, limited, a.now())+expiring(e), "; "); line != "" {
		a.printf("%s\n", line)
	}
}

// showSize is the first line.
func (a *app) showSize(e *message.Estimate) {
	size := plural(e.Messages, "message")
	if e.Segments > 0 {
		size += ", " + plural(e.Segments, "segment") + ", " + dispatchText(e.Dispatch)
	}
	a.printf("%s, about %s (%s at Temporal Cloud's list price)\n", size, plural(e.Actions, "action"), dollars(e.Dollars))
	if o := e.Other; o != nil {
		a.printf("  (%s: about %s, %s)\n", dispatchText(o.Dispatch), plural(o.Actions, "action"), dollars(o.Dollars))
	}
}

// ending says when a batch ends at the rates of its accounts; empty is as soon as it
// can.
func ending(e *message.Estimate, limited bool, now time.Time) string {
	soon := e.EndsAt == nil || e.EndsAt.Sub(now) < time.Second
	switch {
	case limited && !soon:
		return fmt.Sprintf("at the accounts' rates it ends about %s", atAndIn(*e.EndsAt, now))
	case limited:
		return "at the accounts' rates it ends at once"
	case !soon:
		return "the last message is due about " + atAndIn(*e.EndsAt, now)
	}
	return ""
}

func dispatchText(dispatch string) string {
	if dispatch == message.DispatchGroup {
		return "in groups"
	}
	return "message by message"
}

func expiring(e *message.Estimate) string {
	if e.Expiring == 0 {
		return ""
	}
	return "; " + plural(e.Expiring, "message") + beforeTurn(e.Expiring)
}

// warnOfExpiry says on stderr, beside every form of output, that messages would
// expire.
func (a *app) warnOfExpiry(e *message.Estimate) {
	if e != nil && e.Expiring > 0 {
		a.note("%s of %s%s", number(e.Expiring), plural(e.Messages, "message"), beforeTurn(e.Expiring))
	}
}

func beforeTurn(n int) string {
	return " would expire before " + message.Verb(n, "its", "their") + " turn"
}

func atAndIn(t, now time.Time) string {
	t = t.In(now.Location())
	return t.Format("2006-01-02 15:04") + " " + zoneName(t) + " (" + relative(t, now) + ")"
}

func dollars(d float64) string {
	if d > 0 && d < 0.01 {
		return "less than $0.01"
	}
	return "$" + humanize.CommafWithDigits(d, 2)
}

// limited reports whether an account has a rate that messages of a batch take
// first.
func limited(b *message.Batch, rates map[string]float64) bool {
	for _, way := range b.Hops {
		if len(way) > 0 && rates[way[0].Account] > 0 {
			return true
		}
	}
	return false
}

func (a *app) newEstimator(c *config.Config) *intake.Estimator {
	return intake.NewEstimator(c.Estimates(), a.now())
}
