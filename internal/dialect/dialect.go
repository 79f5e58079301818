package dialect

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"volley/internal/message"
)

// Options are what a decoder must know beyond the request itself. The zero value
// with Now set is usable.
type Options struct {
	// Now is the moment of acceptance.
	Now time.Time
	// Account, SendAfter and TTL come from flags. Account beats the request's own;
	// SendAfter (zero: none) and TTL (0: none) beat the request's batch-wide
	// values and give way to a message's own.
	Account   string
	SendAfter time.Time
	TTL       time.Duration
	// Channel and Text stand for the header of a CSV file, which has none.
	Channel string
	Text    string
	// DefaultRegion is where phone numbers without a country code are written, an ISO
	// 3166 code; it stands for the header of a CSV file, too.
	DefaultRegion string
	// Metadata (an object) and Priority (1 to 5; 0 is none) do the same. Metadata is
	// also that of a bird batch.
	Metadata json.RawMessage
	Priority int
	// AwaitReports (0: not at all, up to 72 h) and Callbacks (nil: those of the tenant)
	// stand for the header of a CSV file, too.
	AwaitReports time.Duration
	Callbacks    *message.Callbacks
	// Columns say how the columns of a CSV file are read.
	Columns Columns
	// OverHTTP makes problems name options as the parameters of the HTTP API are
	// called, and not as flags.
	OverHTTP bool
	// MaySetSender allows imkit requests to name a sender.
	MaySetSender bool
	// TakeCallbacks makes the callback_url of a sinch request ours: events of the
	// batch go there. Else it goes on to Sinch, which then calls it itself.
	TakeCallbacks bool
	// IMKITParas is the most paras of an imkit request; 0 is 1,000.
	IMKITParas int
	// MaxMessages bounds the dialects that have no bound of their own; 0 is none.
	MaxMessages int
	// Ended reports that nobody waits for the batch any more. Decoding then ends with a
	// problem of the whole, and a stream with ErrEnded. Nil never does.
	Ended func() bool
	// Streaming is called before a request is read bit by bit, from where on its bytes are
	// not kept, and its error ends the reading. Nil is no call.
	Streaming func() error
}

// ErrEnded means that Options.Ended has ended the reading of a request.
var ErrEnded = errors.New("the request was given up")

func (o *Options) ended() bool { return o.Ended != nil && o.Ended() }

// givenUp is the answer to a request whose decoding has ended.
func givenUp() (*message.Batch, message.Problems) {
	return refused(message.CodeFormat, ErrEnded.Error())
}

// Dialect is one request format.
type Dialect struct {
	// Name is the word in --dialect and in status documents.
	Name string
	// Decode reads a whole request. A problem with Index message.WholeBatch means
	// that nothing of the request may run, and the batch may then be nil. Problems
	// of single messages stand in the messages themselves (Message.Problems), and
	// only there. A bluesky request turns every problem into one of the whole.
	// What should be known and stops nothing is in the batch's Warnings.
	// The batch has its CreatedAt set to Options.Now; its ids, hops and policies
	// are not set yet.
	Decode func(body []byte, o Options) (*message.Batch, message.Problems)
	// Recipient is the path of the message at i in the caller's document, for
	// problems that are found after decoding.
	Recipient func(i int) string
}

// All lists the dialects in the order in which they are documented.
func All() []Dialect {
	return []Dialect{
		{Name: "bird", Decode: decodeBird, Recipient: at("messageRequests[%d].receiver")},
		{Name: "sinch", Decode: decodeSinch, Recipient: at("recipient_and_params[%d].recipient")},
		{Name: "imkit", Decode: decodeIMKIT, Recipient: at("paras[%d]")},
		{Name: "bluesky", Decode: decodeBluesky, Recipient: at("items[%d].convoId")},
		{Name: "volley", Decode: decodeVolley, Recipient: at("messages[%d].to")},
	}
}

// Named finds a dialect.
func Named(name string) (Dialect, error) {
	var names []string
	for _, d := range All() {
		if d.Name == name {
			return d, nil
		}
		names = append(names, d.Name)
	}
	return Dialect{}, fmt.Errorf("unknown dialect %q, expected one of %v", name, names)
}

// ErrTooLarge means that a request is larger than it may be.
var ErrTooLarge = errors.New("the request is too large")

// Read reads a request of at most limit bytes. It is ErrTooLarge when there is more.
func Read(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, &tooLargeError{limit}
	}
	return b, nil
}

type tooLargeError struct{ limit int64 }

func (e *tooLargeError) Error() string {
	return fmt.Sprintf("the request is larger than %d bytes", e.limit)
}

// Unwrap makes the error an ErrTooLarge.
func (e *tooLargeError) Unwrap() error { return ErrTooLarge }

func at(format string) func(int) string {
	return func(i int) string { return fmt.Sprintf(format, i) }
}
