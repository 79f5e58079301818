package temporalclient

import (
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"

	"volley/internal/encryption"
)

const (
	// maxDecode is the largest request of the codec endpoint: sixteen of the largest
	// payloads.
	maxDecode = 32 << 20
	// hidden stands in the place of what a sensitive message says.
	hidden = "(sensitive: not shown)"
)

// CodecOptions configure CodecHandler.
type CodecOptions struct {
	Keyset    *encryption.Keyset
	Namespace string
	// Origins are those of the Web UIs that may ask, such as http://localhost:8233.
	Origins []string
	// Key is what callers give, as a bearer token or as the password of HTTP's basic
	// authentication; empty is nothing, which is for loopback addresses alone.
	Key string
}

// CodecHandler shows payloads to Temporal's Web UI and to its stock CLI. It decodes and
// never encodes, and leaves out what sensitive messages say. Pages of other origins are
// refused, and so is everybody without the key.
func CodecHandler(o CodecOptions) http.Handler {
	decode := converter.NewPayloadCodecHTTPHandler(shown{NewCodec(o.Keyset, o.Namespace)})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "Origin")
		if origin := r.Header.Get("Origin"); origin != "" {
			if !slices.Contains(o.Origins, origin) {
				http.Error(w, "pages of this origin may not ask: --origin names those that may", http.StatusForbidden)
				return
			}
			w.Header().Set("Access-Control-Allow-Origin", origin)
			w.Header().Set("Access-Control-Allow-Credentials", "true")
		}
		if r.Method == http.MethodOptions {
			w.Header().Set("Access-Control-Allow-Methods", http.MethodPost)
			w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type, X-Namespace")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		if !o.allows(r) {
			w.Header().Set("WWW-Authenticate", `Basic realm="Volley's codec: any name, and codec.key of the configuration"`)
			http.Error(w, "codec.key of the configuration is missing, as a bearer token or as a password", http.StatusUnauthorized)
			return
		}
		o.answer(w, r, decode)
	})
}

// answer serves a caller who may ask.
func (o *CodecOptions) answer(w http.ResponseWriter, r *http.Request, decode http.Handler) {
	namespace := r.Header.Get("X-Namespace")
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/":
		fmt.Fprintln(w, "This browser may decode now.")
	case strings.HasSuffix(r.URL.Path, "/encode"):
		http.Error(w, "nothing is encoded here", http.StatusForbidden)
	case namespace != "" && namespace != o.Namespace:
		http.Error(w, fmt.Sprintf("payloads of namespace %s alone are decoded here", o.Namespace), http.StatusBadRequest)
	default:
		r.Body = http.MaxBytesReader(w, r.Body, maxDecode)
		decode.ServeHTTP(w, r)
	}
}

// allows reports whether a request has the key.
func (o *CodecOptions) allows(r *http.Request) bool {
	if o.Key == "" {
		return true
	}
	given, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !bearer {
		_, given, _ = r.BasicAuth()
	}
	a, b := sha256.Sum256([]byte(given)), sha256.Sum256([]byte(o.Key))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// shown decodes what people may see.
type shown struct{ converter.PayloadCodec }

// Decode leaves out what sensitive messages say.
func (s shown) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	plain, err := s.PayloadCodec.Decode(payloads)
	if err != nil {
		return nil, err
	}
	out := make([]*commonpb.Payload, len(plain))
	for i, p := range plain {
		out[i] = withoutSensitive(p)
	}
	return out, nil
}

func withoutSensitive(p *commonpb.Payload) *commonpb.Payload {
	if !bytes.Contains(p.GetData(), []byte(`"sensitive":true`)) && !bytes.Contains(p.GetData(), []byte(`"twoFactor":true`)) {
		return p
	}
	d := json.NewDecoder(bytes.NewReader(p.GetData()))
	d.UseNumber()
	var v any
	if d.Decode(&v) != nil {
		return p // none of ours
	}
	hide(v, false)
	data, err := json.Marshal(v)
	if err != nil {
		return p
	}
	out := proto.CloneOf(p)
	out.Data = data
	return out
}

// hide takes out of a value what its sensitive messages say, wherever a batch or a message
// in it says that it is one.
func hide(v any, sensitive bool) {
	switch v := v.(type) {
	case []any:
		for _, x := range v {
			hide(x, sensitive)
		}
	case map[string]any:
		sensitive = sensitive || isSensitive(v)
		for name, x := range v {
			if sensitive && slices.Contains([]string{"body", "params", "text", "content"}, name) {
				v[name] = hidden
				continue
			}
			hide(x, sensitive)
		}
	}
}

// isSensitive reports whether an object says so itself, or has a policy that does.
func isSensitive(v map[string]any) bool {
	if v["sensitive"] == true || v["twoFactor"] == true {
		return true
	}
	policies, _ := v["policies"].(map[string]any)
	for _, p := range policies {
		if p, ok := p.(map[string]any); ok && isSensitive(p) {
			return true
		}
	}
	return false
}
