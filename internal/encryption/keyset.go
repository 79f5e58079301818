package encryption

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"sync/atomic"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"

	"volley/internal/message"
)

var (
	// ErrNoKey means that what is sealed names a key that is not in the keyset, or not
	// enabled there.
	ErrNoKey = errors.New("no key of the keyset opens it")
	// ErrDamaged means that the key is there and does not open it: it was changed, or it
	// was sealed for another tenant or namespace.
	ErrDamaged = errors.New("it was changed, or sealed for another tenant or namespace")
)

const (
	// filePrefix begins a source that is a file.
	filePrefix = "file://"
	// maxKeyset is the most bytes of a keyset. One of a hundred keys takes 20 kB.
	maxKeyset = 1 << 20
	// prefixLen is the length of Tink's prefix: 1 and the key's id, big-endian.
	prefixLen = 5
)

// Keyset seals and opens. It is safe for concurrent use, and changes only by Reload. A nil
// Keyset means that encryption is off; only its IsOff may be called.
type Keyset struct{ current atomic.Pointer[keys] }

// keys are the keys of a keyset at one time.
type keys struct {
	handle *keyset.Handle
	aead   tink.AEAD
	list   []Key
}

// Key is one key of a keyset, without its material.
type Key struct {
	ID      uint32
	Enabled bool
	Primary bool
}

// Load reads the keyset at a source: the path of a file as file:///path, or the keyset's
// JSON itself. An empty source is a nil Keyset. Errors name a file and never what is in it,
// nor a source that is not a file.
func Load(source string) (*Keyset, error) {
	source = strings.TrimSpace(source)
	switch {
	case source == "":
		return nil, nil
	case strings.HasPrefix(source, filePrefix):
		return loadFile(source)
	case strings.HasPrefix(source, "{"):
		k, err := Parse([]byte(source))
		if err != nil {
			return nil, fmt.Errorf("the keyset: %w", err)
		}
		return k, nil
	}
	return nil, errors.New("the keyset must be the address of a file such as file:///etc/volley/keyset.json, or a Tink keyset in JSON")
}

func loadFile(source string) (*Keyset, error) {
	path, err := pathOf(source)
	if err != nil {
		return nil, err
	}
	return readFile(path)
}

func readFile(path string) (*Keyset, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("the keyset: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxKeyset+1))
	if err != nil {
		return nil, fmt.Errorf("the keyset: %w", err)
	}
	k, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("the keyset in %s: %w", path, err)
	}
	return k, nil
}

// pathOf is the path in the address of a file.
func pathOf(source string) (string, error) {
	u, err := url.Parse(source)
	if err != nil || u.Host != "" || u.Path == "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("the keyset's file must be an address with three slashes such as file:///etc/volley/keyset.json")
	}
	return u.Path, nil
}

// Parse reads a keyset in Tink's cleartext JSON. Errors say nothing of what is in it
// beyond the ids of keys.
func Parse(data []byte) (*Keyset, error) {
	if len(data) > maxKeyset {
		return nil, fmt.Errorf("has more than %d bytes", maxKeyset)
	}
	// Tink's own errors are left out: they may repeat what they could not read.
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(data)))
	if err != nil {
		return nil, errors.New("is no Tink keyset in JSON with an enabled primary key")
	}
	return of(handle)
}

// New makes a keyset with one new key, AES-256 in GCM.
func New() (*Keyset, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("new keyset: %w", err)
	}
	return of(handle)
}

// of checks the keys of a handle and readies them.
func of(handle *keyset.Handle) (*Keyset, error) {
	info := handle.KeysetInfo()
	now := &keys{handle: handle}
	for _, i := range info.GetKeyInfo() {
		if i.GetOutputPrefixType() != tinkpb.OutputPrefixType_TINK {
			return nil, fmt.Errorf("the key %d has no Tink prefix: what it seals would not say which key opens it", i.GetKeyId())
		}
		now.list = append(now.list, Key{
			ID: i.GetKeyId(), Enabled: i.GetStatus() == tinkpb.KeyStatusType_ENABLED, Primary: i.GetKeyId() == info.GetPrimaryKeyId(),
		})
	}
	a, err := aead.New(handle)
	if err != nil {
		return nil, errors.New("has a key that is no AEAD (AES256_GCM is one)")
	}
	now.aead = a
	k := &Keyset{}
	k.current.Store(now)
	return k, nil
}

// IsOff reports whether encryption is off.
func (k *Keyset) IsOff() bool { return k == nil }

// Seal encrypts with the primary key. What is sealed opens only with the same associated
// data, and is up to 33 bytes longer.
func (k *Keyset) Seal(plain, associated []byte) ([]byte, error) {
	sealed, err := k.current.Load().aead.Encrypt(plain, associated)
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	return sealed, nil
}

// Open decrypts with the key that sealed it. The error is an ErrNoKey or an ErrDamaged.
func (k *Keyset) Open(sealed, associated []byte) ([]byte, error) {
	id, ok := SealedWith(sealed)
	if !ok {
		return nil, fmt.Errorf("open: %w", ErrDamaged)
	}
	now := k.current.Load()
	if !now.opens(id) {
		return nil, fmt.Errorf("open what key %d sealed: %w", id, ErrNoKey)
	}
	plain, err := now.aead.Decrypt(sealed, associated)
	if err != nil {
		return nil, fmt.Errorf("open what key %d sealed: %w", id, ErrDamaged)
	}
	return plain, nil
}

// SealedWith is the id of the key that sealed something; false where it was not sealed.
func SealedWith(sealed []byte) (id uint32, ok bool) {
	if len(sealed) < prefixLen || sealed[0] != 1 {
		return 0, false
	}
	return binary.BigEndian.Uint32(sealed[1:prefixLen]), true
}

// Opens reports whether the keyset has an enabled key of that id.
func (k *Keyset) Opens(id uint32) bool { return k.current.Load().opens(id) }

func (k *keys) opens(id uint32) bool {
	for _, key := range k.list {
		if key.ID == id {
			return key.Enabled
		}
	}
	return false
}

// Primary is the id of the key that seals.
func (k *Keyset) Primary() uint32 {
	for _, key := range k.current.Load().list {
		if key.Primary {
			return key.ID
		}
	}
	return 0
}

// Keys are the keys in the order of the keyset.
func (k *Keyset) Keys() []Key { return append([]Key(nil), k.current.Load().list...) }

// String says how many keys there are and which is the primary.
func (k *Keyset) String() string {
	if k == nil {
		return "no keyset"
	}
	return fmt.Sprintf("keyset of %s with the primary %d", message.Plural(len(k.Keys()), "key"), k.Primary())
}

// GoString is String: no material.
func (k *Keyset) GoString() string { return k.String() }

// JSON is the keyset in Tink's cleartext JSON: it is a secret.
func (k *Keyset) JSON() ([]byte, error) {
	var b bytes.Buffer
	if err := insecurecleartextkeyset.Write(k.current.Load().handle, keyset.NewJSONWriter(&b)); err != nil {
		return nil, fmt.Errorf("write a keyset: %w", err)
	}
	var compact bytes.Buffer // the spaces of protobuf's JSON differ from build to build
	if err := json.Compact(&compact, b.Bytes()); err != nil {
		return nil, fmt.Errorf("write a keyset: %w", err)
	}
	return compact.Bytes(), nil
}

// WithNewKey is a keyset with a new key besides, which opens and does not seal yet, and
// the new key's id.
func (k *Keyset) WithNewKey() (*Keyset, uint32, error) {
	m := keyset.NewManagerFromHandle(k.current.Load().handle)
	id, err := m.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, 0, fmt.Errorf("new key: %w", err)
	}
	n, err := managed(m)
	return n, id, err
}

// Promote is a keyset that seals with the key of that id, which must be enabled.
func (k *Keyset) Promote(id uint32) (*Keyset, error) {
	m := keyset.NewManagerFromHandle(k.current.Load().handle)
	if err := m.SetPrimary(id); err != nil {
		return nil, k.refusal(id, "seals only with a key that is enabled")
	}
	return managed(m)
}

// Without is a keyset without the key of that id, which must not be the primary: what it
// sealed is not opened any more.
func (k *Keyset) Without(id uint32) (*Keyset, error) {
	m := keyset.NewManagerFromHandle(k.current.Load().handle)
	if err := m.Delete(id); err != nil {
		return nil, k.refusal(id, "cannot do without its primary key")
	}
	return managed(m)
}

// refusal says why a key cannot be changed.
func (k *Keyset) refusal(id uint32, otherwise string) error {
	for _, key := range k.current.Load().list {
		if key.ID == id {
			return fmt.Errorf("key %d: a keyset %s", id, otherwise)
		}
	}
	return fmt.Errorf("the keyset has no key %d", id)
}

func managed(m *keyset.Manager) (*Keyset, error) {
	handle, err := m.Handle()
	if err != nil {
		return nil, fmt.Errorf("keyset: %w", err)
	}
	return of(handle)
}
