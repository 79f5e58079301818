package provider

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"volley/internal/message"
)

func imkitFields(a Account) []field {
	return []field{address("base_url", a.BaseURL), secret("api_key", a.APIKey)}
}

// imkit sends through IMKIT's server API: batches of one para (IMKIT, "Send
// message to multiple clients"), which take a receiver as well as a room and
// whose id can be asked for.
type imkit struct {
	*client
	account Account
}

var _ interface {
	Sender
	Reconciler
} = (*imkit)(nil)

func newIMKIT(a Account, c *client) (Sender, error) { return &imkit{client: c, account: a}, nil }

// imkitID is the key in extra that holds our id of a message.
const imkitID = "_volley_id"

// Send creates a batch of one message.
func (k *imkit) Send(ctx context.Context, m message.Outgoing) (message.Receipt, error) {
	body, err := k.body(m)
	if err != nil {
		return message.Receipt{}, k.clean(err, nil)
	}
	return k.send(ctx, k.call(http.MethodPost, join(k.account.BaseURL, "messages", "batch"), body), readIMKIT)
}

func (k *imkit) call(method, url string, body []byte) call {
	return call{method: method, url: url, body: body, header: http.Header{"Im-Api-Key": {k.account.APIKey}}}
}

// body is the batch of a message. A caller's own fields go out as they are; what
// is added is push where it is absent (its default differs between IMKIT's
// calls), the account's sender where the caller names none, and our id in extra.
func (k *imkit) body(m message.Outgoing) ([]byte, *Error) {
	o := object{}
	para := object{}
	if m.Dialect == "imkit" {
		content, err := contentOf(m)
		if err != nil {
			return nil, err
		}
		o = content
		for _, key := range []string{"receiver", "room"} {
			if o.has(key) {
				para[key] = o[key]
			}
			delete(o, key)
		}
	} else {
		if m.Text == "" {
			return nil, unsupportedContent(m)
		}
		o.set("messageType", "text")
		o.set("message", m.Text)
		a, err := addressFor(m, hopChannel(m), "imkit", "a receiver of the app")
		if err != nil {
			return nil, err
		}
		if a.Kind == message.KindRoom {
			para.set("room", a.Value)
		} else {
			para.set("receiver", a.Value)
		}
	}
	if !o.has("push") {
		o.set("push", false)
	}
	if !o.has("sender") && k.account.Sender != "" {
		o.set("sender", k.account.Sender)
	}
	if extra, ok := o.markable(); ok {
		extra.set(imkitID, m.ID)
		o.set("extra", extra)
	}
	o.set("paras", []object{para})
	return o.bytes(), nil
}

// markable returns extra where our id can stand in it: it is an object or absent,
// and the caller has no such key of its own.
func (o object) markable() (object, bool) {
	extra, ok := o.sub("extra")
	return extra, ok && !extra.has(imkitID)
}

// imkitAnswer is every answer of the API: a success, the error of a call, whose
// error is an object, and the error of a key, whose error is its name.
type imkitAnswer struct {
	RC         json.RawMessage `json:"RC"`
	RM         string          `json:"RM"`
	Error      json.RawMessage `json:"error"`
	Message    string          `json:"message"`
	RetryAfter float64         `json:"retryAfter"`
	Result     struct {
		BatchID    string         `json:"batchID"`
		TotalCount *int           `json:"totalCount"`
		Data       []imkitMessage `json:"data"`
	} `json:"result"`
}

// readIMKIT reads RC and not only the status: 0 is success, anything else an
// error (IMKIT, "Response format").
func readIMKIT(r Reply) (message.Receipt, Fault) {
	a, f := parseIMKIT(r)
	return message.Receipt{ProviderID: a.Result.BatchID}, f
}

func parseIMKIT(r Reply) (imkitAnswer, Fault) {
	var a imkitAnswer
	err := json.Unmarshal(r.Body, &a)
	rc := scalar(a.RC)
	if r.Status/100 == 2 && (err != nil || rc == "" && details(a.Error) == "") {
		return imkitAnswer{}, Unreadable("the answer has no RC")
	}
	if r.Status/100 == 2 && rc == "0" {
		return a, Fault{}
	}
	var inner struct {
		Code    json.RawMessage `json:"code"`
		Message string          `json:"message"`
	}
	name := scalar(a.Error)
	if name == "" {
		_ = json.Unmarshal(a.Error, &inner) // any other shape explains nothing
		name = scalar(inner.Code)
	}
	f := Fault{
		Kind: imkitKind(name), Code: name, Detail: first(inner.Message, a.Message, a.RM),
		RetryAfter: time.Duration(min(max(a.RetryAfter, 0), MaxRetryAfter.Seconds()) * float64(time.Second)),
	}
	if r.Status/100 == 2 {
		f.Code = first(f.Code, "rc_"+rc)
		f.Detail = first(f.Detail, "the answer has RC "+rc)
	}
	return imkitAnswer{}, f
}

// imkitKind is what an error's name says better than its status; empty leaves it
// to the status (IMKIT, "API key" and "Error codes").
func imkitKind(name string) Kind {
	switch name {
	case "RATE_LIMIT_EXCEEDED":
		return Throttled
	case "INVALID_API_KEY", "MISSING_API_KEY":
		return Unauthorized
	case "NOT_ROOM_MEMBER", "ROOM_NOT_FOUND":
		return Rejected
	}
	return ""
}

// Bounds of a question to IMKIT.
const (
	// imkitPage is the most messages of one answer.
	imkitPage = 100
	// imkitPageBytes is the most bytes of one answer.
	imkitPageBytes = 16 << 20
	// imkitSkew is how far IMKIT's clock may be from ours. It is less than
	// clockSkew: at IMKIT's 1,000 requests a minute a wider window would hold more
	// messages than maxPages pages.
	imkitSkew = time.Minute
)

// imkitMessage is one message of a listing.
type imkitMessage struct {
	ID      string          `json:"_id"`
	BatchID string          `json:"batchID"`
	TimeMS  *int64          `json:"messageTimeMS"`
	Extra   json.RawMessage `json:"extra"`
}

// Reconcile looks for our id among the messages of all rooms in the query's
// window, a minute wider at both ends. It says absent only when it has seen all
// of them, whatever IMKIT means by the total and however short its pages are. It cannot
// tell of a message whose extra had no place for our id.
func (k *imkit) Reconcile(ctx context.Context, q Query) (Answer, error) {
	if q.Message.Dialect == "imkit" {
		content, err := contentOf(q.Message)
		if err != nil {
			return Answer{}, k.clean(err, nil)
		}
		if _, ok := content.markable(); !ok {
			return Answer{Detail: "extra is not an object of the caller's, so the message carries no id of ours"}, nil
		}
	}
	since, until := q.Since.Add(-imkitSkew), q.Until.Add(imkitSkew)
	seen := map[string]bool{}
	for range maxPages {
		page, err := k.page(ctx, since, until)
		if err != nil {
			return Answer{}, err
		}
		fresh := 0
		for _, m := range page.Data {
			if m.marked(q.Message.ID) {
				return found(first(m.BatchID, m.ID)), nil
			}
			if m.ID == "" || m.TimeMS == nil {
				return Answer{Detail: "the listing has messages without id or time"}, nil
			}
			if !seen[m.ID] {
				seen[m.ID] = true
				fresh++
			}
			if at := time.UnixMilli(*m.TimeMS + 1); at.Before(until) {
				until = at // endDate is exclusive: the next page has this millisecond again
			}
		}
		if fresh > 0 {
			continue // only a page with nothing new is the end
		}
		if total := page.TotalCount; len(page.Data) < imkitPage && (total == nil || len(page.Data) >= *total) {
			return Answer{Verdict: Absent}, nil
		}
		return Answer{Detail: "the listing does not go on"}, nil
	}
	return Answer{Detail: "there are more messages in the window than " + strconv.Itoa(maxPages*imkitPage)}, nil
}

func (m imkitMessage) marked(id string) bool {
	var extra object
	return json.Unmarshal(m.Extra, &extra) == nil && extra.text(imkitID) == id
}

// imkitListing is the result of a listing.
type imkitListing struct {
	TotalCount *int
	Data       []imkitMessage
}

// page asks for the newest messages of a window (IMKIT, "List messages from all
// rooms"): since inclusive, until exclusive, in ISO 8601.
func (k *imkit) page(ctx context.Context, since, until time.Time) (imkitListing, error) {
	const iso = "2006-01-02T15:04:05.000Z"
	query := url.Values{
		"startDate": {since.UTC().Format(iso)}, "endDate": {until.UTC().Format(iso)}, "limit": {strconv.Itoa(imkitPage)},
	}
	q := k.call(http.MethodGet, join(k.account.BaseURL, "admin", "messages")+"?"+query.Encode(), nil)
	q.limit = imkitPageBytes
	reply, err := k.roundTrip(ctx, q)
	if err != nil {
		return imkitListing{}, err
	}
	a, fault := parseIMKIT(reply)
	if fault == (Fault{}) && a.Result.Data == nil {
		fault = Unreadable("the listing has no data")
	}
	if err := k.classify(reply, fault, nil); err != nil {
		return imkitListing{}, err
	}
	return imkitListing{a.Result.TotalCount, a.Result.Data}, nil
}
