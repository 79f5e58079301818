package dialect

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"volley/internal/message"
)

// Limits of Sinch's Batch API and, where it is silent, of messages:send.
const (
	sinchRecipients  = 1000
	sinchHorizon     = 7 * 24 * time.Hour
	sinchExact       = time.Minute
	sinchMark        = 5 * time.Minute
	sinchMinTTL      = 3
	sinchMaxTTL      = 315_576_000_000
	sinchProperty    = 1024
	sinchCorrelation = 128
)

// Bounds of our own, so that a request cannot cost more than its size.
const (
	// sinchIdentities is the most identities of a recipient, and channels of an order.
	sinchIdentities = 100
	// sinchMissing is how many problems of one recipient missing parameters add up to.
	sinchMissing = 100
)

var (
	sinchChannels = []string{
		"WHATSAPP", "RCS", "SMS", "MESSENGER", "VIBERBM", "MMS", "INSTAGRAM", "TELEGRAM", "KAKAOTALK",
		"KAKAOTALKCHAT", "LINE", "SINCH_CHAT", "WECHAT", "APPLEBC",
	}
	sinchOwn = []string{"recipient_and_params", "batch_metadata", "send_after"}
)

const dispatchOnly = "DISPATCH_ONLY"

// sinch decodes one request of Sinch's Batch API.
type sinch struct {
	reader
	options Options
	batch   *message.Batch
	// strategy, order, and the two metadata objects are the batch's own; an
	// object is nil when the request has none.
	strategy     string
	order        []string
	metadata     *object
	conversation *object
	// names are the parameters that the message needs, and bareTexts the texts of which
	// nothing else is seen.
	names     []string
	bareTexts []bareString
	notes     textNotes
}

func decodeSinch(body []byte, o Options) (*message.Batch, message.Problems) {
	root, problems := open(body)
	if problems != nil {
		return nil, problems
	}
	s := &sinch{
		reader:  reader{index: message.WholeBatch},
		options: o,
		batch: &message.Batch{
			V: message.Version, Dialect: "sinch", CreatedAt: o.Now, Account: o.Account,
			Horizon: sinchHorizon.Milliseconds(),
		},
	}
	request, _ := s.object(root)
	s.characters(root, "recipient_and_params")
	s.envelope(request)
	s.template(request)
	if n, ok := s.required(request, "recipient_and_params"); ok {
		s.recipients(n)
	}
	if s.batch == nil {
		return nil, s.problems
	}
	s.refuseUnknown(request)
	s.batch.Warnings = s.notes.unusedIn("recipient_and_params")
	return s.batch, s.problems
}

func (s *sinch) envelope(request *object) {
	if n, ok := s.required(request, "app_id"); ok {
		s.filled(n)
	}
	if n, ok := request.take("processing_strategy"); ok {
		s.strategy, _ = s.oneOf(n, "DEFAULT", dispatchOnly)
	}
	if n, ok := request.take("channel_priority_order"); ok {
		s.order = s.channels(n)
	}
	if n, ok := request.take("channel_properties"); ok {
		s.properties(n)
	}
	if n, ok := request.take("correlation_id"); ok {
		s.upTo(n, sinchCorrelation)
	}
	if n, ok := request.take(sinchCallback); ok {
		if address := s.callback(n); s.options.TakeCallbacks && address != "" {
			s.batch.Callbacks = &message.Callbacks{URL: address, Path: n.path}
		}
	}
	if n, ok := request.take("batch_metadata"); ok {
		if o := s.metadataObject(n, sinchBatchID); o != nil {
			s.batch.Metadata = n.raw
		}
	}
	if n, ok := request.take("message_metadata"); ok {
		if s.fits(n.path, n.raw, sinchMetadata) {
			s.metadata = s.metadataObject(n, sinchBatchID, sinchMessageID)
		}
	}
	if n, ok := request.take("conversation_metadata"); ok {
		if s.fits(n.path, n.raw, sinchConversation) {
			s.conversation = s.metadataObject(n, sinchBatchID)
		}
	}
	s.sendAfter(request)
	s.ttl(request)
}

// channels reads a channel order. A channel that stands twice counts once.
func (s *sinch) channels(n node) []string {
	items, _ := s.atMost(n, sinchIdentities)
	var order []string
	for _, item := range items {
		if ch, ok := s.oneOf(item, sinchChannels...); ok && !slices.Contains(order, ch) {
			order = append(order, ch)
		}
	}
	return order
}

func (s *sinch) properties(n node) {
	o, ok := s.object(n)
	if !ok {
		return
	}
	for _, f := range o.fields {
		s.upTo(f.node, sinchProperty)
	}
}

// sinchCallback is the key of the address that hears of the batch.
const sinchCallback = "callback_url"

// sendAfter reads when the batch is due (Sinch, batch: send_after). A time that
// is less than a minute ahead stays, in whole seconds; a later one moves up to
// the next five-minute mark; one that is past means now. The seven days are
// counted before the move. A time from a flag is exact.
func (s *sinch) sendAfter(request *object) {
	const path = "send_after"
	now := s.options.Now
	due, given := s.utc(request, path)
	if flag := s.options.SendAfter; !flag.IsZero() {
		s.batch.SendAfter = millis(flag)
		due, given = flag, true
	} else if given {
		switch ahead := due.Sub(now); {
		case ahead <= 0:
			s.batch.SendAfter = millis(now)
		case ahead < sinchExact:
			s.batch.SendAfter = ceil(due, time.Second).UnixMilli()
		default:
			s.batch.SendAfter = ceil(due, sinchMark).UnixMilli()
		}
	}
	if given && due.Sub(now) > sinchHorizon {
		s.add(path, message.CodeHorizon, "at most 7 days ahead")
	}
}

// utc reads an RFC 3339 time whose offset is zero.
func (s *sinch) utc(request *object, key string) (time.Time, bool) {
	n, ok := request.take(key)
	if !ok {
		return time.Time{}, false
	}
	text, ok := s.text(n)
	if !ok {
		return time.Time{}, false
	}
	t, err := message.ParseRFC3339(text)
	if err != nil {
		s.add(n.path, message.CodeFormat, "expected a time such as 2025-01-01T12:34:56Z")
		return time.Time{}, false
	}
	if _, offset := t.Zone(); offset != 0 {
		s.add(n.path, message.CodeFormat, "expected a time in UTC, as 2025-01-01T12:34:56Z")
		return time.Time{}, false
	}
	return t.UTC(), true
}

// ceil is the first multiple of d, counted in UTC, that is not before t.
func ceil(t time.Time, d time.Duration) time.Time {
	if down := t.Truncate(d); down.Before(t) {
		return down.Add(d)
	}
	return t
}

// ttl reads the validity (Sinch, batch: ttl), an integer with an s behind it. Its
// maximum of 10,000 years is legal and overflows a time.Duration, so it is cut to
// message.MaxTTL here; the provider gets it as it was given.
func (s *sinch) ttl(request *object) {
	if n, ok := request.take("ttl"); ok {
		s.batch.TTL = min(s.seconds(n)*1000, message.MaxTTL.Milliseconds())
	}
	switch flag := s.options.TTL; {
	case flag > 0:
		s.batch.TTL = spanMillis(flag)
	case flag < 0:
		s.add("ttl", message.CodeRange, "a duration above zero is needed, got %s", flag)
	}
}

func (s *sinch) seconds(n node) int64 {
	text, ok := s.text(n)
	if !ok {
		return 0
	}
	digits, suffixed := strings.CutSuffix(text, "s")
	if unsigned := strings.TrimPrefix(digits, "-"); !suffixed || unsigned == "" || strings.Trim(unsigned, "0123456789") != "" {
		s.add(n.path, message.CodeFormat, `expected whole seconds with an s behind them, as "86400s"`)
		return 0
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || v < sinchMinTTL || v > sinchMaxTTL {
		s.add(n.path, message.CodeRange, "expected 3 to 315,576,000,000 seconds")
		return 0
	}
	return v
}

// template makes the body of messages:send out of what the recipients share, in
// the caller's order and the caller's bytes.
func (s *sinch) template(request *object) {
	if n, ok := s.required(request, "message"); ok {
		s.bare = &s.bareTexts
		s.content(n)
		s.bare = nil
	}
	var shared builder
	for _, f := range request.fields {
		if slices.Contains(sinchOwn, f.key) || f.isNull() || f.key == "ttl" && s.options.TTL > 0 || f.key == sinchCallback && s.options.TakeCallbacks {
			continue
		}
		shared.add(f.key, f.raw)
	}
	if ttl := s.options.TTL; ttl > 0 {
		secs := min(max(int64(ceilDuration(ttl, time.Second)/time.Second), sinchMinTTL), sinchMaxTTL)
		shared.addText("ttl", strconv.FormatInt(secs, 10)+"s")
	}
	s.batch.Template = message.Template{
		Body: shared.object(), Syntax: message.SyntaxBraces, Scope: []string{"message"},
		TextPaths: [][]string{{"message", "text_message", "text"}},
	}
	// The body was built here and is an object.
	s.names, _ = s.batch.Template.Parameters(maxNames + 1)
	if len(s.names) > maxNames {
		s.add("message", message.CodeTooMany, tooManyNames, maxNames)
		s.names = nil
	}
}

func ceilDuration(d, unit time.Duration) time.Duration {
	if rest := d % unit; rest > 0 {
		return d - rest + unit
	}
	return d
}
