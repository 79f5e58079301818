package sandbox_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"volley/dev/sandbox"
)

func TestSteering(t *testing.T) {
	t.Parallel()
	for _, d := range endpoints() {
		for _, x := range []func(steer string) string{word, number} {
			t.Run(d.name+" to "+x(""), func(t *testing.T) {
				t.Parallel()
				b := start(t, sandbox.Options{Slow: 20 * time.Millisecond})
				send := func(to string) answer { return b.post(t, d.path, d.head(b), d.body(to, idA)) }
				seen := func(to string) bool {
					if d.list == nil {
						return b.get(t, "/webhook?id="+idA, nil).status == http.StatusOK
					}
					res := b.get(t, d.list(to), d.head(b))
					require.Equal(t, http.StatusOK, res.status, res.body)
					return strings.Contains(res.body, `"hi"`)
				}
				require.False(t, seen(x("drop")))

				require.Equal(t, d.reject, send(x("reject")).status)
				require.Equal(t, http.StatusServiceUnavailable, send(x("down")).status)
				require.Equal(t, http.StatusServiceUnavailable, send(x("flaky")).status)
				require.Equal(t, http.StatusServiceUnavailable, send(x("flaky")).status)
				limited := send(x("limit"))
				require.Equal(t, http.StatusTooManyRequests, limited.status)
				require.Equal(t, "1", limited.header.Get("Retry-After"))
				require.Error(t, send(x("lost")).err, "cut without an answer")
				require.Empty(t, b.Received(), "nothing of all that was accepted")
				require.False(t, seen(x("lost")))

				require.Error(t, send(x("drop")).err, "cut without an answer")
				require.Len(t, b.Received(), 1)
				require.Equal(t, x("drop"), b.Received()[0].To)
				require.True(t, seen(x("drop")), "the provider's read finds it")

				for _, to := range []string{x(""), x("flaky"), x("limit"), x("lost"), x("slow")} {
					require.Equal(t, d.ok, send(to).status, to)
				}
				require.Equal(t, http.StatusServiceUnavailable, send(x("down")).status, "down for good")
				require.Len(t, b.Received(), 6)
				require.EqualValues(t, 7, b.Counts().Refused)
			})
		}
	}
}

func TestAPhoneNumberIsSteeredByItsEndAndNothingElseIs(t *testing.T) {
	t.Parallel()
	for to, status := range map[string]int{
		"+15550109901": 422, "15550109901": 422, "+1 (555) 010-9901": 422, "+15550109907": 503,
		"+15550199010": 202, "order-9901": 202, "9901": 202, "+15550001111+down": 503, "+15550109901+down": 503,
	} {
		b := start(t, sandbox.Options{})
		res := b.post(t, "/webhook", nil, `{"type":"message","data":{"id":"`+idA+`","to":`+quoted(to)+`,"text":"hi"}}`)
		require.Equal(t, status, res.status, to)
	}
}
