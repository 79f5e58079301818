package message

import "cmp"

// NotStarted is the kind of an outcome where no request was made, since too little time
// was left. The other kinds are names of events.
const NotStarted = "not_started"

// Outcome is what became of one attempt. It stands in histories.
type Outcome struct {
	V int `json:"v"`
	// Kind is NotStarted or the name of an event.
	Kind       string `json:"kind"`
	ProviderID string `json:"providerId,omitempty"`
	Code       string `json:"code,omitempty"`
	Detail     string `json:"detail,omitempty"`
	// RetryAfter is what the provider asked to wait, in ms.
	RetryAfter int64 `json:"retryAfter,omitempty"`
	// At is when the answer came, in Unix ms by the worker's clock.
	At int64 `json:"at"`
	// Held is why no request was made although there was time, or what the answer says of
	// the account itself, not of the message.
	Held Holding `json:"held,omitzero"`
}

// Transition is a message that is to move on: its record, which the methods change, and
// what decides where to. The workflow that sends a message and whoever closes out one that
// was ended decide by it alike.
type Transition struct {
	*Record
	// Batch has the policies, Hops are those of the message.
	Batch *Batch
	Hops  []Hop
	// Now is when it happens, in Unix ms.
	Now int64
}

// Policy is that of the account of the last attempt, or of the next one.
func (t Transition) Policy() Policy {
	if t.Hop < len(t.Hops) {
		return t.Batch.Policies[t.Hops[t.Hop].Account]
	}
	return Policy{}
}

// Answered takes in the outcome of an attempt. A message that may have another one waits
// for as long as the outcome says.
func (t Transition) Answered(o Outcome) {
	switch e := Event(o.Kind); e {
	case NotStarted:
		if o.Held.By != "" {
			t.takeBack()
			t.Hold(o.Held)
			return
		}
		t.Withdraw(o.RetryAfter)
	case EventExpired:
		t.takeBack()
		t.Expire()
	case EventAmbiguous:
		t.Ambiguous(o.Code, o.Detail)
	case EventSent:
		t.Step(e, o.At, "", "")
		t.Accept(o.ProviderID, o.At)
	case EventThrottled, EventUnavailable:
		t.Step(e, o.At, o.Code, o.Detail)
		t.Again(o.RetryAfter, o.Code, o.Detail)
	case EventRejected:
		if o.Suppressed() {
			t.Suppress(o)
			return
		}
		fallthrough
	default: // permanent on this account
		t.Step(e, o.At, o.Code, o.Detail)
		if o.Held.By != "" {
			t.HopAttempts-- // it says nothing of the message
			t.Hold(o.Held)
			return
		}
		t.NextHop(o.Code, o.Detail)
	}
}

// Suppressed reports whether no request was made because the recipient wants no messages.
func (o Outcome) Suppressed() bool {
	return o.Kind == string(EventRejected) && o.Code == CodeSuppressed
}

// Suppress ends a message whose recipient wants no messages: no request was made, and none
// is through another account. One of which an earlier attempt may have arrived stays in
// doubt, as End says.
func (t Transition) Suppress(o Outcome) {
	t.takeBack()
	switch {
	case t.delivered():
	case t.Stop:
		t.Cancel(t.Now, t.Detail)
	default:
		t.Step(EventRejected, o.At, o.Code, o.Detail)
		t.End(Rejected, t.Now, o.Code, o.Detail)
	}
}

// Accept ends a message that a provider took, once nothing more is awaited of it. A kept
// report is dropped that is of another attempt.
func (t Transition) Accept(providerID string, at int64) {
	t.ProviderID, t.Sent = Clip(providerID, MaxDetail), at
	if k := t.Early; k != nil && k.State != Delivered && k.ProviderID != "" && t.ProviderID != "" && k.ProviderID != t.ProviderID {
		t.Early = nil
	}
	switch {
	case t.Early != nil:
		t.Report()
	case t.awaits():
		t.State, t.Doubt, t.Await = Sending, 0, t.Now+t.Batch.AwaitReports
		t.Next = t.Await
		if !t.Stop { // else they hold why it was canceled
			t.Code, t.Detail = "", ""
		}
	default:
		t.End(Sent, t.Now, "", "")
	}
}

// awaits reports whether the report is awaited of what was sent through the message's
// account.
func (t Transition) awaits() bool { return t.Batch.AwaitReports > 0 && !t.Policy().NoReports }

// Ambiguous notes that the last attempt may have reached the provider. Nothing else is done
// for the message until the provider was asked, or a kept report shows that it has it.
func (t Transition) Ambiguous(code, detail string) {
	t.Step(EventAmbiguous, t.Now, code, detail)
	if !t.Stop { // else they hold why it was canceled
		t.Code, t.Detail = CleanCode(code), Clip(detail, MaxDetail)
	}
	if t.ResolvesAmbiguity() {
		t.Report()
		return
	}
	t.State, t.Doubt, t.Asked, t.Next = Sending, t.Now, 0, t.Now+t.Policy().Settle
}

// Withdraw puts a message back whose attempt never left, for wait ms.
func (t Transition) Withdraw(wait int64) {
	t.takeBack()
	switch {
	case t.delivered():
	case t.Stop:
		t.Cancel(t.Now, t.Detail)
	case t.Attempts > 0:
		t.State, t.Next = Retrying, t.Now+wait
	default:
		t.State, t.Next = Accepted, t.Now+wait
	}
}

func (t Transition) takeBack() {
	t.Attempts--
	t.HopAttempts--
}

// Again lets a message wait for another attempt, for wait ms, unless it may have none.
func (t Transition) Again(wait int64, code, detail string) {
	switch {
	case t.delivered():
	case t.Stop:
		t.Cancel(t.Now, t.Detail)
	case t.Spent():
		t.NextHop(code, detail)
	default:
		t.State, t.Doubt, t.Next = Retrying, 0, t.Now+wait
		t.Code, t.Detail = CleanCode(code), Clip(detail, MaxDetail)
	}
}

// Spent reports whether the message has had all the attempts that its account may make.
func (t Transition) Spent() bool {
	most := t.Policy().Attempts
	return most > 0 && t.HopAttempts >= most
}

// Found ends a message that its provider has, once nothing more is awaited of it.
func (t Transition) Found(providerID string, at int64) {
	t.Step(EventFound, at, "", "")
	t.Accept(providerID, t.Doubt)
}

// Absent lets a message that its provider does not have wait for another attempt, for
// wait ms.
func (t Transition) Absent(at, wait int64) {
	t.Step(EventAbsent, at, "", "")
	t.Doubt, t.Unresolved = 0, 0
	t.Again(wait, t.Code, t.Detail)
}

// CannotTell does what the account's policy says of a message of which nobody knows
// whether it arrived: it ends, or waits for wait ms to be sent again through the same
// account.
func (t Transition) CannotTell(wait int64, why string) {
	switch {
	case t.ResolvesAmbiguity():
		t.Report()
	case t.Policy().OnUnknown == Resend && !t.Stop && !t.Spent() && t.Now < t.Expires:
		if t.Unresolved == 0 {
			t.Unresolved = t.Began
		}
		t.Again(wait, t.Code, t.Detail)
	default:
		t.End(Unknown, t.Now, "unknown", why)
	}
}

// Since is from when on an attempt at the message may have reached its provider, in Unix ms.
func (r *Record) Since() int64 { return cmp.Or(r.Unresolved, r.Began) }

// NextHop moves a message on after its account refused it for good.
func (t Transition) NextHop(code, detail string) {
	more := t.Hop+1 < len(t.Hops)
	switch {
	case t.delivered():
	case more && t.Stop:
		t.Cancel(t.Now, t.Detail)
	case more && t.Now < t.Expires && t.Unresolved == 0:
		t.onward()
	default:
		t.End(Failed, t.Now, code, detail)
	}
}

// onward lets a message wait for its next hop's first attempt, at once.
func (t Transition) onward() {
	t.Hop++
	t.State, t.HopAttempts, t.Doubt, t.Next = Retrying, 0, 0, t.Now
}

// Expire ends a message whose validity has run out.
func (t Transition) Expire() {
	if t.delivered() {
		return
	}
	why := "its validity ran out before a provider took it"
	switch {
	case t.Code == CodeHeld:
		why = "its validity ran out while it was held: " + t.Detail
	case t.Code != "":
		why += ", after " + t.Code + ": " + t.Detail
	}
	t.Step(EventExpired, t.Now, "", "")
	t.End(Expired, t.Now, "expired", Clip(why, MaxDetail))
}

// delivered ends a message of which a kept report says that it was delivered, whatever is
// known of its last attempt. Otherwise it forgets the report, since that attempt was not
// taken.
func (t Transition) delivered() bool {
	if t.Early == nil || t.Early.State != Delivered {
		t.Early = nil
		return false
	}
	t.Report()
	return true
}

// Report ends a message that a provider has taken by the report that is kept, or, where
// reports were awaited and it was not delivered, moves it to its next hop. What had ended
// ends anew.
func (t Transition) Report() {
	k := t.Early
	t.Early = nil
	e := Entry{At: k.At, Hop: k.Hop, Attempt: t.Attempts, Event: EventDelivered, Code: k.Code, Detail: k.Detail}
	if e.At <= 0 || e.At > t.Now {
		e.At = t.Now
	}
	code, detail := "", ""
	if k.State == Undelivered {
		e.Event, code, detail = EventUndelivered, k.Code, k.Detail
	}
	t.Note(e)
	if k.State == Undelivered && !t.State.Final() && t.awaits() && !t.Stop && t.Unresolved == 0 && t.Now < t.Expires && t.Hop+1 < len(t.Hops) {
		t.Sent, t.ProviderID, t.Await, t.Code, t.Detail = 0, "", 0, code, detail
		t.onward()
		return
	}
	t.ProviderID, t.Sent = cmp.Or(t.ProviderID, k.ProviderID), cmp.Or(t.Sent, t.Began, e.At)
	t.End(k.State, t.Now, code, detail)
}

// Close ends a message whose workflow does nothing more for it: as lost says where it may
// have left, by the cancellation named where that came in time, and as rest says else.
func (t Transition) Close(rest, lost UnrunOutcome, named *Cancellation) {
	switch {
	case t.State.Final():
	case t.Await > 0:
		t.End(Sent, t.Now, "", "")
	case !t.State.Waiting() && t.Early != nil:
		t.Report()
	case !t.State.Waiting() || t.Doubt > 0:
		t.End(Unknown, t.Now, lost.Code, lost.Detail)
	case t.Stop:
		t.Cancel(t.Now, t.Detail)
	case named != nil && named.At < t.Expires:
		t.Cancel(named.At, named.Reason)
	case t.Expires <= t.Now && rest.State != Expired:
		t.Now = t.Expires
		t.Expire()
	case rest.State == Canceled:
		t.Cancel(t.Now, rest.Detail)
	default:
		t.End(rest.State, t.Now, rest.Code, rest.Detail)
	}
}

// Step adds a step to the trail.
func (r *Record) Step(e Event, at int64, code, detail string) {
	r.Note(Entry{At: at, Hop: r.Hop, Attempt: r.Attempts, Event: e, Code: code, Detail: detail})
}

// Cancel ends a message that is not to be sent.
func (r *Record) Cancel(at int64, reason string) {
	r.Step(EventCanceled, at, "", reason)
	r.End(Canceled, at, "canceled", reason)
}

// End puts a message into a final state at a time in Unix ms. One of which an attempt may
// have arrived ends as Unknown instead of a state that says that it did not.
func (r *Record) End(s State, at int64, code, detail string) {
	if s.untaken() && (r.Doubt > 0 || r.Unresolved > 0) {
		s, code, detail = Unknown, "unknown", "an attempt may have arrived; "+cmp.Or(detail, code)
	}
	r.State, r.Finished, r.Next, r.Doubt, r.Await, r.Unresolved = s, at, 0, 0, 0, 0
	r.Code, r.Detail = CleanCode(code), Clip(detail, MaxDetail)
}
