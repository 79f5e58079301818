package temporalclient_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"

	"volley/internal/message"
	"volley/internal/temporalclient"
	"volley/workflows/contract"
)

const (
	webUI    = "http://localhost:8233"
	codecKey = "sixteen characters"
)

// codecRequest asks to decode what v is as a payload of tenant shop, and tells what was
// answered.
func codecRequest(t *testing.T, o *temporalclient.CodecOptions, path string, v any, headers ...string) (code int, answer string, head http.Header) {
	t.Helper()
	p, err := in(options(t, o.Keyset, o.Namespace).DataConverter, "batch-shop/a").ToPayload(v)
	require.NoError(t, err)
	body, err := json.Marshal(&commonpb.Payloads{Payloads: []*commonpb.Payload{p}})
	require.NoError(t, err)
	r := httptest.NewRequest(http.MethodPost, path, bytes.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	temporalclient.CodecHandler(*o).ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		return w.Code, w.Body.String(), w.Header()
	}
	var out commonpb.Payloads
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &out))
	require.Len(t, out.Payloads, 1)
	require.False(t, temporalclient.IsSealed(out.Payloads[0]))
	return w.Code, string(out.Payloads[0].Data), w.Header()
}

func TestTheCodecDecodesForOneOriginAndWhoHasTheKey(t *testing.T) {
	t.Parallel()
	open := &temporalclient.CodecOptions{Keyset: newKeyset(t), Namespace: "default", Origins: []string{webUI}}
	closed := *open
	closed.Key = codecKey
	basic := httptest.NewRequest(http.MethodGet, "/", nil)
	basic.SetBasicAuth("anybody", codecKey)
	for name, c := range map[string]struct {
		o       *temporalclient.CodecOptions
		path    string
		headers []string
		code    int
	}{
		"the web UI":          {open, "/decode", []string{"Origin", webUI, "X-Namespace", "default"}, 200},
		"the CLI":             {open, "/decode", nil, 200},
		"another page":        {open, "/decode", []string{"Origin", "http://evil.example"}, 403},
		"no page":             {open, "/decode", []string{"Origin", "null"}, 403},
		"a longer origin":     {open, "/decode", []string{"Origin", webUI + "0"}, 403},
		"encode":              {open, "/encode", []string{"Origin", webUI}, 403},
		"another namespace":   {open, "/decode", []string{"X-Namespace", "other"}, 400},
		"another path":        {open, "/", nil, 404},
		"no key":              {&closed, "/decode", []string{"Origin", webUI}, 401},
		"a wrong key":         {&closed, "/decode", []string{"Authorization", "Bearer " + codecKey + "x"}, 401},
		"an empty key":        {&closed, "/decode", []string{"Authorization", "Bearer "}, 401},
		"the key":             {&closed, "/decode", []string{"Authorization", "Bearer " + codecKey}, 200},
		"the key as password": {&closed, "/decode", []string{"Origin", webUI, "Authorization", basic.Header.Get("Authorization")}, 200},
		"the key, elsewhere":  {&closed, "/decode", []string{"Origin", "http://evil.example", "Authorization", "Bearer " + codecKey}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, answer, head := codecRequest(t, c.o, c.path, number, c.headers...)
			require.Equal(t, c.code, code, answer)
			require.Equal(t, code == 200, strings.Contains(answer, number))
			if code == 403 && !strings.HasSuffix(c.path, "encode") {
				require.Empty(t, head.Get("Access-Control-Allow-Origin"))
			}
		})
	}
}

func TestABrowserMayAskTheCodecBeforeItSends(t *testing.T) {
	t.Parallel()
	h := temporalclient.CodecHandler(temporalclient.CodecOptions{Keyset: newKeyset(t), Namespace: "default", Origins: []string{webUI}, Key: codecKey})
	for origin, code := range map[string]int{webUI: 204, "http://evil.example": 403} {
		r := httptest.NewRequest(http.MethodOptions, "/decode", nil)
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		require.Equal(t, code, w.Code)
		if code == 204 {
			require.Equal(t, origin, w.Header().Get("Access-Control-Allow-Origin"))
			require.Equal(t, "true", w.Header().Get("Access-Control-Allow-Credentials"))
			require.Contains(t, w.Header().Get("Access-Control-Allow-Headers"), "X-Namespace")
		}
	}
}

func TestTheCodecHidesWhatSensitiveMessagesSay(t *testing.T) {
	t.Parallel()
	const secret = "your code is 123456"
	o := &temporalclient.CodecOptions{Keyset: newKeyset(t), Namespace: "default", Origins: []string{webUI}}
	b := message.Batch{
		ID: "a", Template: message.Template{Body: json.RawMessage(`{"text":"` + secret + ` ${c}"}`)},
		Messages: []message.Message{{To: number, Params: map[string]string{"c": secret}, Body: json.RawMessage(`{"x":"` + secret + `"}`)}},
	}
	send := contract.SendInput{Message: b.Messages[0], Template: b.Template}
	decoded := func(v any) string {
		code, answer, _ := codecRequest(t, o, "/decode", v)
		require.Equal(t, 200, code, answer)
		require.Contains(t, answer, number)
		return answer
	}
	require.Contains(t, decoded(contract.Input{Batch: b}), secret)
	require.Contains(t, decoded(send), secret)

	b.Sensitive, send.Sensitive = true, true
	require.NotContains(t, decoded(contract.Input{Batch: b}), secret)
	require.NotContains(t, decoded(send), secret)
	require.NotContains(t, decoded(contract.ReconcileInput{Send: send}), secret)
	b.Sensitive = false
	for _, p := range []message.Policy{{Sensitive: true}, {TwoFactor: true}} {
		b.Policies = map[string]message.Policy{"plain": {}, "otp": p}
		require.NotContains(t, decoded(contract.Input{Batch: b}), secret)
	}
}

func TestTheStockClientDecodesThroughTheCodec(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	s := httptest.NewServer(temporalclient.CodecHandler(temporalclient.CodecOptions{Keyset: k, Namespace: "default", Key: codecKey}))
	t.Cleanup(s.Close)
	sealed, err := options(t, k, "default").DataConverter.ToPayload(number)
	require.NoError(t, err)
	stock := converter.NewRemoteDataConverter(converter.GetDefaultDataConverter(), converter.RemoteDataConverterOptions{
		Endpoint: s.URL, ModifyRequest: func(r *http.Request) error {
			r.Header.Set("Authorization", "Bearer "+codecKey)
			return nil
		},
	})
	out, err := read(stock, sealed)
	require.NoError(t, err)
	require.Equal(t, number, out)
}
