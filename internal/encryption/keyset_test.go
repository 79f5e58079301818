package encryption_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"volley/internal/encryption"
)

func newKeyset(t *testing.T) *encryption.Keyset {
	t.Helper()
	k, err := encryption.New()
	require.NoError(t, err)
	return k
}

func jsonOf(t *testing.T, k *encryption.Keyset) string {
	t.Helper()
	data, err := k.JSON()
	require.NoError(t, err)
	return string(data)
}

func TestWhatIsSealedOpensOnlyWithItsKeyAndItsTenant(t *testing.T) {
	t.Parallel()
	k, other := newKeyset(t), newKeyset(t)
	ad := encryption.Associated("default", "shop")
	sealed, err := k.Seal([]byte("+4915112345678"), ad)
	require.NoError(t, err)
	require.NotContains(t, string(sealed), "4915112345678")
	require.LessOrEqual(t, len(sealed), len("+4915112345678")+33)

	plain, err := k.Open(sealed, ad)
	require.NoError(t, err)
	require.Equal(t, "+4915112345678", string(plain))

	_, err = other.Open(sealed, ad)
	require.ErrorIs(t, err, encryption.ErrNoKey)
	require.ErrorContains(t, err, fmt.Sprint(k.Primary()))
	for _, ad := range [][]byte{encryption.Associated("default", "bank"), encryption.Associated("other", "shop"), nil} {
		_, err = k.Open(sealed, ad)
		require.ErrorIs(t, err, encryption.ErrDamaged)
	}
}

func TestWhatWasChangedIsToldFromWhatHasNoKey(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	sealed, err := k.Seal([]byte("text"), nil)
	require.NoError(t, err)
	for i := range sealed {
		changed := bytes.Clone(sealed)
		changed[i] ^= 1
		_, err := k.Open(changed, nil)
		if 1 <= i && i < 5 {
			require.ErrorIs(t, err, encryption.ErrNoKey, i)
		} else {
			require.ErrorIs(t, err, encryption.ErrDamaged, i)
		}
	}
	for n := range sealed {
		_, err := k.Open(sealed[:n], nil)
		require.ErrorIs(t, err, encryption.ErrDamaged, n)
	}
}

func TestNoTwoPairsOfNamesShareTheirAssociatedData(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	names := []string{"", "a", "b", "ab", "a\x00b", "\x01a", "1a", strings.Repeat("a", 200)}
	for _, namespace := range names {
		for _, tenant := range names {
			seen[string(encryption.Associated(namespace, tenant))] = true
		}
	}
	require.Len(t, seen, len(names)*len(names))
}

func TestAKeysetIsRotated(t *testing.T) {
	t.Parallel()
	first := newKeyset(t)
	sealed, err := first.Seal([]byte("old"), nil)
	require.NoError(t, err)

	both, id, err := first.WithNewKey()
	require.NoError(t, err)
	require.Equal(t, first.Primary(), both.Primary(), "a new key only opens")
	require.True(t, both.Opens(id))
	require.Equal(t, []encryption.Key{{ID: first.Primary(), Enabled: true, Primary: true}, {ID: id, Enabled: true}}, both.Keys())

	_, err = first.Promote(id)
	require.EqualError(t, err, fmt.Sprintf("the keyset has no key %d", id))
	second, err := both.Promote(id)
	require.NoError(t, err)
	require.Equal(t, id, second.Primary())
	plain, err := second.Open(sealed, nil)
	require.NoError(t, err)
	require.Equal(t, "old", string(plain))
	resealed, err := second.Seal(plain, nil)
	require.NoError(t, err)
	_, err = both.Open(resealed, nil)
	require.NoError(t, err, "the key was there before it sealed")
	_, err = first.Open(resealed, nil)
	require.ErrorIs(t, err, encryption.ErrNoKey)

	_, err = second.Without(id)
	require.EqualError(t, err, fmt.Sprintf("key %d: a keyset cannot do without its primary key", id))
	last, err := second.Without(first.Primary())
	require.NoError(t, err)
	_, err = last.Open(sealed, nil)
	require.ErrorIs(t, err, encryption.ErrNoKey)
	require.Len(t, both.Keys(), 2, "a keyset never changes")
}

func TestAKeysetIsLoadedFromItsJSONOrAFile(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	off, err := encryption.Load(" ")
	require.NoError(t, err)
	require.True(t, off.IsOff())

	path := filepath.Join(t.TempDir(), "keyset.json")
	require.NoError(t, os.WriteFile(path, []byte(jsonOf(t, k)), 0o600))
	for _, source := range []string{jsonOf(t, k), "\n" + jsonOf(t, k) + "\n", "file://" + path} {
		loaded, err := encryption.Load(source)
		require.NoError(t, err)
		require.Equal(t, k.Keys(), loaded.Keys())
		require.False(t, loaded.IsOff())
		sealed, err := k.Seal([]byte("x"), nil)
		require.NoError(t, err)
		_, err = loaded.Open(sealed, nil)
		require.NoError(t, err)
	}
}

// The form that tinkey, the command of Tink, writes; the key is 32 bytes at random.
const tinkeys = `{"primaryKeyId":1931667682,"key":[{"keyData":{"typeUrl":"type.googleapis.com/google.crypto.tink.AesGcmKey",
	"value":"GiDfE0dg4wlh6jHBPpM2FGXpCv2TDTBCBXSoHZJ3WyTJJg==","keyMaterialType":"SYMMETRIC"},"status":"ENABLED","keyId":1931667682,"outputPrefixType":"TINK"}]}`

func TestAKeysetOfTinkeyIsRead(t *testing.T) {
	t.Parallel()
	k, err := encryption.Load(tinkeys)
	require.NoError(t, err)
	require.Equal(t, uint32(1931667682), k.Primary())
	require.JSONEq(t, tinkeys, jsonOf(t, k))
}

func TestErrorsNeverShowAKey(t *testing.T) {
	t.Parallel()
	k := newKeyset(t)
	text := jsonOf(t, k)
	var parsed struct {
		Key []struct {
			KeyData struct{ Value string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(text), &parsed))
	material := parsed.Key[0].KeyData.Value
	raw, err := base64.StdEncoding.DecodeString(material)
	require.NoError(t, err)
	dir := t.TempDir()
	for name, c := range map[string]struct{ source, want string }{
		"no prefix":        {strings.Replace(text, `"TINK"`, `"RAW"`, 1), "has no Tink prefix"},
		"broken":           {text[:len(text)-2], "is no Tink keyset"},
		"in quotes":        {`"` + text + `"`, "must be the address of a file"},
		"the value alone":  {material, "must be the address of a file"},
		"unknown member":   {strings.Replace(text, `"key"`, `"`+material+`"`, 1), "is no Tink keyset"},
		"disabled primary": {strings.Replace(text, "ENABLED", "DISABLED", 1), "is no Tink keyset"},
		"no primary":       {strings.Replace(text, `"primaryKeyId":`, `"primaryKeyId":1`, 1), "is no Tink keyset"},
		"of another kind":  {strings.Replace(text, "AesGcmKey", "HmacKey", 1), "is no"},
		"empty":            {"{}", "is no Tink keyset"},
		"not there":        {"file://" + dir + "/none", "no such file"},
		"two slashes":      {"file://keyset.json", "three slashes"},
		"a folder":         {"file://" + dir, "is a directory"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, err := encryption.Load(c.source)
			require.Nil(t, k)
			require.ErrorContains(t, err, c.want)
			require.NotContains(t, err.Error(), material)
			require.NotContains(t, err.Error(), material[:10])
		})
	}
	for _, printed := range []string{fmt.Sprint(k), fmt.Sprintf("%+v %#v", k, k), fmt.Sprintf("%+v", struct{ K *encryption.Keyset }{k})} {
		require.NotContains(t, printed, material)
		require.NotContains(t, printed, string(raw[2:]))
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(tinkeys))
	f.Add([]byte(`{"key":[{"keyData":{}}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := encryption.Parse(data)
		if err != nil {
			return
		}
		sealed, err := k.Seal(data, nil)
		require.NoError(t, err)
		_, err = k.Open(sealed, nil)
		require.NoError(t, err)
	})
}

func BenchmarkSeal(b *testing.B) {
	k, err := encryption.New()
	require.NoError(b, err)
	ad := encryption.Associated("default", "default")
	for _, size := range []int{100, 10_000, 1_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			plain := make([]byte, size)
			b.SetBytes(int64(size))
			for b.Loop() {
				if _, err := k.Seal(plain, ad); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
