package index

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"volley/internal/encryption"
	"volley/internal/message"
	"volley/internal/phone"
)

// Keys seal what names people.
type Keys struct {
	keyset    *encryption.Keyset
	namespace string
}

// NewKeys are those of a keyset, for the batches of a namespace of Temporal's; nil where
// encryption is off.
func NewKeys(k *encryption.Keyset, namespace string) *Keys {
	if k.IsOff() {
		return nil
	}
	return &Keys{keyset: k, namespace: namespace}
}

// people hashes and seals what names people.
//
// Recipients are looked up by a keyed hash. Its key is made with the index and kept in it, in
// clear where the index is, and sealed by each key of the keyset that was its primary where
// encryption is on: so it outlives rotations, is the same for all processes, and a copy of
// the database alone does not tell whether a number is in it. Switching encryption on keeps
// the hash key.
type people struct {
	keys *Keys
	hash []byte
}

const (
	// hashKey is the setting of the key in clear, with / and a key's id behind it of one
	// that is sealed.
	hashKey   = "hash_key"
	hashBytes = 32
	// plainUntil is the setting that says when encryption was switched on, in Unix ms.
	plainUntil = "plain_until"
)

// What is hashed, so that a reference does not meet a recipient.
const (
	addressHash   byte = 'a'
	referenceHash byte = 'r'
	providerHash  byte = 'p'
)

func openPeople(t *tx, keys *Keys, now time.Time) (*people, error) {
	if t.postgres { // SQLite's transactions that write come one after the other anyway
		if err := t.each("SELECT pg_advisory_xact_lock(?)", []any{int64(migrateLock)}, func(*sql.Rows) error { return nil }); err != nil {
			return nil, err
		}
	}
	kept := map[string][]byte{}
	err := t.each("SELECT name, value FROM setting WHERE name LIKE 'hash_key%'", nil, func(row *sql.Rows) error {
		var name string
		var value []byte
		err := row.Scan(&name, &value)
		kept[name] = value
		return err
	})
	if err != nil {
		return nil, err
	}
	p := &people{keys: keys}
	if p.hash, err = keys.openHash(kept); err != nil {
		return nil, err
	}
	if p.hash == nil {
		p.hash = make([]byte, hashBytes)
		if _, err := rand.Read(p.hash); err != nil {
			return nil, fmt.Errorf("index: %w", err)
		}
	}
	name, value, err := keys.sealHash(p.hash)
	if err != nil {
		return nil, err
	}
	if _, ok := kept[name]; ok {
		return p, nil
	}
	if _, err := t.exec("INSERT INTO setting (name, value) VALUES (?, ?)", name, value); err != nil {
		return nil, err
	}
	if _, plain := kept[hashKey]; !plain {
		return p, nil
	}
	if _, err := t.exec("DELETE FROM setting WHERE name = ?", hashKey); err != nil {
		return nil, err
	}
	_, err = t.exec("INSERT INTO setting (name, value) VALUES (?, ?)", plainUntil, []byte(strconv.FormatInt(now.UnixMilli(), 10)))
	return p, err
}

// wasPlain reports whether something may stand in clear of before encryption was switched on,
// which was after a time.
func (t *tx) wasPlain(after time.Time) (bool, error) {
	var until []byte
	found, err := t.one("SELECT value FROM setting WHERE name = ?", []any{plainUntil}, &until)
	if err != nil || !found {
		return false, err
	}
	ms, err := strconv.ParseInt(string(until), 10, 64)
	if err != nil {
		return false, fmt.Errorf("%w: the setting %s: %w", errFault, plainUntil, err)
	}
	return timeOf(ms).After(after), nil
}

// openHash is the key of hashes among the settings that may have it; nil is a new index.
func (k *Keys) openHash(kept map[string][]byte) ([]byte, error) {
	if plain, ok := kept[hashKey]; ok || len(kept) == 0 {
		return plain, nil
	}
	if k == nil {
		return nil, fmt.Errorf("%w: encryption was on (encryption.keyset)", ErrKeys)
	}
	var errs error
	for _, sealed := range kept {
		plain, err := k.keyset.Open(sealed, k.associated("", hashKey))
		if err == nil {
			return plain, nil
		}
		errs = errors.Join(errs, err)
	}
	return nil, fmt.Errorf("%w: %w", ErrKeys, errs)
}

func (k *Keys) sealHash(hash []byte) (name string, value []byte, err error) {
	if k == nil {
		return hashKey, hash, nil
	}
	value, err = k.keyset.Seal(hash, k.associated("", hashKey))
	return hashKey + "/" + strconv.FormatUint(uint64(k.keyset.Primary()), 10), value, err
}

// associated is what is bound to something sealed: a row's cannot be put elsewhere.
func (k *Keys) associated(tenant, where string) []byte {
	return append(encryption.Associated(k.namespace, tenant), "index "+where...)
}

// sum is a keyed hash of a value.
func (p *people) sum(kind byte, value string) int64 {
	mac := hmac.New(sha256.New, p.hash)
	mac.Write([]byte{kind})
	mac.Write([]byte(value))
	var b [sha256.Size]byte
	return int64(binary.BigEndian.Uint64(mac.Sum(b[:0]))) //nolint:gosec // any 64 bits do
}

// sumOf is sum, or nil where there is no value.
func (p *people) sumOf(kind byte, value string) any {
	if value == "" {
		return nil
	}
	return p.sum(kind, value)
}

// address is the form in which recipients are compared: phone numbers in E.164, as they are
// read in a region, addresses of mail in lower case, and others as they are.
func address(value, region string) string {
	if e164(value) {
		return value
	}
	key, _ := phone.Key(value, region) // what is no number is compared as it is
	return key
}

// e164 reports whether a number has its normal form already.
func e164(s string) bool {
	return len(s) > 7 && s[0] == '+' && strings.Trim(s[1:], "0123456789") == ""
}

// plainMark begins what is not sealed. What is sealed begins with 1 (encryption.SealedWith).
const plainMark byte = 0

// seal hides some texts of a tenant's, where encryption is on. where is their place.
func (p *people) seal(tenant, where string, texts ...string) ([]byte, error) {
	n := 1
	for _, s := range texts {
		n += len(s) + binary.MaxVarintLen16
	}
	b := append(make([]byte, 0, n), plainMark)
	for _, s := range texts {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	if p.keys == nil {
		return b, nil
	}
	return p.keys.keyset.Seal(b, p.keys.associated(tenant, where))
}

// open reads what seal wrote into as many texts. Without the key they stay empty, and opened
// is false.
func (p *people) open(tenant, where string, b []byte, into ...*string) (opened bool) {
	if len(b) > 0 && b[0] != plainMark {
		if p.keys == nil {
			return false
		}
		plain, err := p.keys.keyset.Open(b, p.keys.associated(tenant, where))
		if err != nil {
			return false
		}
		b = plain
	}
	if len(b) == 0 {
		return false
	}
	b = b[1:]
	for _, s := range into {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			return false
		}
		*s, b = string(b[w:w+int(n)]), b[w+int(n):] //nolint:gosec // at most len(b)
	}
	return true
}

// messageID is the id of a message of a batch.
func messageID(tenant, batch string, i int) string {
	return message.KeyOf(message.WorkflowID(tenant, batch)).MessageID(i)
}
