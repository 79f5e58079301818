package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"os"
)

// veiledFile is a temporary file that is encrypted, in AES-CTR, with a key that exists in
// this process alone and dies with it. Nobody but the process trusts what it reads back, so
// nothing authenticates it. Every place is written once, so that no part of the key's stream
// is used twice. It is not safe for concurrent use.
type veiledFile struct {
	*os.File
	block cipher.Block
	buf   []byte
}

func veil(f *os.File) (*veiledFile, error) {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails
	block, err := aes.NewCipher(key[:])
	return &veiledFile{File: f, block: block}, err
}

// WriteAt encrypts p.
func (v *veiledFile) WriteAt(p []byte, at int64) (int, error) {
	v.buf = append(v.buf[:0], p...)
	v.xor(v.buf, at)
	return v.File.WriteAt(v.buf, at)
}

// ReadAt decrypts.
func (v *veiledFile) ReadAt(p []byte, at int64) (int, error) {
	n, err := v.File.ReadAt(p, at)
	v.xor(p[:n], at)
	return n, err
}

// xor lays the key's stream over what stands at a place.
func (v *veiledFile) xor(p []byte, at int64) {
	var counter, skipped [aes.BlockSize]byte
	binary.BigEndian.PutUint64(counter[8:], uint64(at/aes.BlockSize))
	stream := cipher.NewCTR(v.block, counter[:])
	skip := skipped[:at%aes.BlockSize]
	stream.XORKeyStream(skip, skip)
	stream.XORKeyStream(p, p)
}
