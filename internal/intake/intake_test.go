package intake_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"volley/internal/dialect"
	"volley/internal/intake"
	"volley/internal/message"
)

// accepted is when requests of these tests come.
var accepted = time.Date(2026, 11, 27, 9, 0, 0, 0, time.UTC)

var router = message.Router{
	Routes:   []message.Route{{Hops: []string{"hook"}}},
	Accounts: map[string]message.Policy{"hook": {Provider: "webhook"}},
}

// open opens a request of Volley's own dialect.
func open(t *testing.T, r io.Reader, c intake.Caller, o intake.Options) *intake.Request {
	t.Helper()
	return openTB(t, r, c, o)
}

func openTB(t testing.TB, r io.Reader, c intake.Caller, o intake.Options) *intake.Request {
	t.Helper()
	var err error
	if o.Dialect, err = dialect.Named("volley"); err != nil {
		t.Fatal(err)
	}
	o.Now = accepted
	if c.Tenant == "" {
		c.Tenant, c.Router = "acme", &router
	}
	q, err := intake.Open(r, c, intake.Limits{BodyBytes: 64 << 20}, o)
	require.NoError(t, err)
	return q
}

// problemList is a Log.
type problemList message.Problems

func (l *problemList) Add(problems ...message.Problem) error {
	*l = append(*l, problems...)
	return nil
}

const two = `{"text":"hi"}
{"to":"+15550001111"}
{"text":"nobody"}
`

func TestAWholeRequestAndAStreamedOneMeanTheSame(t *testing.T) {
	t.Parallel()
	w := open(t, strings.NewReader(two), intake.Caller{}, intake.Options{}).Buffered()
	require.NoError(t, w.Refusal())
	require.Equal(t, 2, w.Total())
	require.Equal(t, 1, w.Valid())
	require.Len(t, w.Problems, 1)

	var log problemList
	in, err := open(t, strings.NewReader(two), intake.Caller{}, intake.Options{}).Streamed(&log)
	require.NoError(t, err)
	defer in.Close()
	var all []message.Message
	for m := (message.Message{}); in.Next(&m); m = (message.Message{}) {
		all = append(all, m)
	}
	sum, err := in.End()
	require.NoError(t, err)
	require.Len(t, sum, 32)
	require.Equal(t, w.Batch.Messages, all)
	require.Equal(t, w.Problems, message.Problems(log))
	require.Equal(t, w.Batch.Hops, in.Header().Hops)
	require.EqualValues(t, len(two), in.Bytes())
}

func TestAStrictRequestStartsNothingForOneProblem(t *testing.T) {
	t.Parallel()
	w := open(t, strings.NewReader(two), intake.Caller{}, intake.Options{Strict: true}).Buffered()
	require.EqualError(t, w.Refusal(), "1 message is rejected and the request is strict, nothing was started")

	in, err := open(t, strings.NewReader(two), intake.Caller{}, intake.Options{Strict: true}).Streamed(&problemList{})
	require.NoError(t, err)
	defer in.Close()
	var m message.Message
	require.True(t, in.Next(&m))
	m = message.Message{}
	require.False(t, in.Next(&m))
	require.True(t, in.Refused())
	require.NoError(t, in.Rest())
	require.EqualError(t, in.Refusal(), "1 message is rejected and the request is strict, nothing was started")
}

func TestAWellFormedRequestMayLackParametersAndWays(t *testing.T) {
	t.Parallel()
	const lacking = `{"text":"hi ${name}"}
{"to":"+15550001111","params":{"name":"Ann"}}
{"to":"+15550002222"}
`
	for body, refused := range map[string]bool{lacking: false, two: true} {
		w := open(t, strings.NewReader(body), intake.Caller{}, intake.Options{WellFormed: true}).Buffered()
		require.Equal(t, refused, w.None)
		in, err := open(t, strings.NewReader(body), intake.Caller{}, intake.Options{WellFormed: true}).Streamed(&problemList{})
		require.NoError(t, err)
		defer in.Close()
		n := 0
		for m := (message.Message{}); in.Next(&m); m = (message.Message{}) {
			n++
		}
		_, err = in.End()
		require.Equal(t, refused, err != nil)
		require.Equal(t, w.Refusal() != nil, in.Refusal() != nil)
		require.Equal(t, w.Valid(), in.Valid())
	}
	nowhere := intake.Caller{Tenant: "acme", Router: &message.Router{}}
	w := open(t, strings.NewReader(`{"text":"hi","messages":[{"to":"+15550001111"}]}`), nowhere, intake.Options{WellFormed: true}).Buffered()
	require.False(t, w.None)
	require.Equal(t, 1, w.Batch.Rejected())
}

func TestALargeRequestIsNotReadAsAWhole(t *testing.T) {
	t.Parallel()
	row := `{"to":"+15550001111"}` + "\n"
	body := io.MultiReader(strings.NewReader(`{"text":"hi"}`+"\n"), strings.NewReader(strings.Repeat(row, 300_000)))
	seen := &counted{r: body}
	q := open(t, seen, intake.Caller{}, intake.Options{Size: 300_000 * int64(len(row))})
	require.False(t, q.IsBuffered())
	require.Less(t, seen.n, 100<<10, "of a large request only the first bytes are read at once")
	in, err := q.Streamed(&problemList{})
	require.NoError(t, err)
	defer in.Close()
	require.NoError(t, in.Rest())
	require.Equal(t, 300_000, in.Valid())
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n int
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

func TestWhatCannotBeReadIsAnError(t *testing.T) {
	t.Parallel()
	broken := errors.New("the line broke")
	d, err := dialect.Named("volley")
	require.NoError(t, err)
	_, err = intake.Open(iotest.ErrReader(broken), intake.Caller{}, intake.Limits{BodyBytes: 1 << 20}, intake.Options{Dialect: d})
	require.ErrorIs(t, err, broken)
	// Its lines are whole, the request is not.
	cut := io.MultiReader(strings.NewReader(two), iotest.ErrReader(io.ErrUnexpectedEOF))
	_, err = intake.Open(cut, intake.Caller{}, intake.Limits{BodyBytes: 1 << 20}, intake.Options{Dialect: d})
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestOnlyACSVFileHasNoHeader(t *testing.T) {
	t.Parallel()
	for body, is := range map[string]bool{
		"to,name\n+15550001111,Ann\n": true, two: false, " [1]": false, "": false, "\ufeff\r\n": false,
		"\xff\xfet\x00o\x00": true, "\xfe\xff\x00 \x00{": false, "\xff\xfe": false,
	} {
		q := open(t, strings.NewReader(body), intake.Caller{}, intake.Options{})
		require.Equal(t, is, q.IsCSV(), "%q", body)
		require.Equal(t, len(body) < 6 && !is && !strings.Contains(body, "1"), q.IsEmpty(), "%q", body)
	}
}

func TestWhereEventsGo(t *testing.T) {
	t.Parallel()
	own := &message.Callbacks{URL: "https://acme.example.com/events"}
	for i, c := range []struct {
		request string // callbacks of the request
		tenant  *message.Callbacks
		signs   bool
		want    *message.Callbacks
		problem string
	}{
		{want: nil},
		{tenant: own, signs: true, want: &message.Callbacks{URL: own.URL, Format: "volley"}},
		{tenant: &message.Callbacks{}, signs: true, want: nil},
		{
			request: `"callbacks":{"url":"https://other.example.com","messages":true},`, tenant: own, signs: true,
			want: &message.Callbacks{URL: "https://other.example.com", Format: "volley", Messages: true},
		},
		{
			request: `"callbacks":{"url":"https://other.example.com"},`, tenant: &message.Callbacks{Format: "sinch"}, signs: true,
			want: &message.Callbacks{URL: "https://other.example.com", Format: "sinch"},
		},
		{request: `"callbacks":{"url":"https://other.example.com"},`, problem: "callbacks.url"},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			body := `{` + c.request + `"text":"hi","messages":[{"to":"+15550001111"}]}`
			caller := intake.Caller{Tenant: "acme", Router: &router, Callbacks: c.tenant, HasCallbackSecret: c.signs}
			w := open(t, strings.NewReader(body), caller, intake.Options{}).Buffered()
			if c.problem != "" {
				require.Len(t, w.Problems, 1)
				require.Equal(t, c.problem, w.Problems[0].Path)
				require.Equal(t, message.CodeConflict, w.Problems[0].Code)
				require.Error(t, w.Refusal())
				return
			}
			require.NoError(t, w.Refusal())
			require.Equal(t, c.want, w.Batch.Callbacks)
		})
	}
}
