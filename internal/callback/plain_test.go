package callback_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/callback"
	"volley/internal/message"
)

// A caller's texts come back as it wrote them, without the escapes that Go's encoder
// put in on their way through Temporal.
func TestNoEscapesOfGosReachAnEndpoint(t *testing.T) {
	t.Parallel()
	const marks = "<&>\u2028\u2029"
	for format, body := range map[string]string{
		"":      `{"text":"#"}`,
		"sinch": strings.Replace(sinchBody, "<b>", "#", 1),
		"bird":  strings.ReplaceAll(birdBody, `"Hi"`, `"#"`),
	} {
		st := batchStatus(message.BatchRunning)
		st.Metadata = json.RawMessage(`{"` + marks + `":"` + marks + `"}`)
		row := messageRow(message.Failed, "refused", marks)
		row.Reference = new(marks)
		e := callback.MessageEvent(st, row)
		e.Request = asked(strings.ReplaceAll(body, "#", marks))
		raw, err := json.Marshal(e)
		require.NoError(t, err)
		require.Contains(t, string(raw), `\u2028`)
		var stored callback.Event
		require.NoError(t, json.Unmarshal(raw, &stored))

		srv, all := endpoint(t, status(http.StatusOK))
		require.Nil(t, poster(t, "foo_secret1234", true).Post(t.Context(), "acme", to(srv.URL, format), stored))
		posted := string(all()[0].body)
		require.Contains(t, posted, marks, format)
		for _, escape := range []string{`\u003c`, `\u0026`, `\u003e`, `\u2028`, `\u2029`} {
			require.NotContains(t, posted, escape, format)
		}
	}
}
