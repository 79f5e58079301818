package dialect

import "bytes"

// NotText says what a file is that begins as one of another kind does, and what to do
// about it; empty is that nothing is known against it.
func NotText(head []byte) string {
	for _, kind := range []struct{ begins, what string }{
		{"PK\x03\x04", "this is an Excel or Numbers workbook, or another zip file; export it as CSV, or unpack it"},
		{"\x1f\x8b", "this is compressed with gzip; decompress it"},
		{"\xd0\xcf\x11\xe0", "this is an Excel workbook (.xls); export it as CSV"},
	} {
		if bytes.HasPrefix(head, []byte(kind.begins)) {
			return kind.what
		}
	}
	return ""
}
