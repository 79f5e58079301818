package store

import (
	"fmt"
	"strings"
	"time"

	"volley/internal/message"
)

// Names of objects in a folder.
const (
	manifestName = "manifest"
	indexName    = "index"
	resultName   = "result"
	segmentsName = "segments"
	ledgersName  = "ledgers"
)

// startDigits is how many hexadecimal digits tell the starts of a batch apart.
const startDigits = 8

// folderOf takes a folder apart and refuses everything else, so that nothing that
// somebody made up leads out of the store's layout.
func folderOf(dir string) (Folder, error) {
	f := Folder{Dir: dir}
	parts := strings.Split(dir, "/")
	if len(parts) != 3 {
		return f, badDir(dir)
	}
	batch, start, ok := strings.Cut(parts[2], "~")
	if !ok || !isName(parts[0]) || !isDay(parts[1]) || !isName(batch) || !isStart(start) {
		return f, badDir(dir)
	}
	f.Tenant, f.Batch = parts[0], batch
	return f, nil
}

func badDir(dir string) error {
	return fmt.Errorf("%q is no folder of a batch, expected <tenant>/<yyyy-mm-dd>/<batch>~<%d hexadecimal digits>", dir, startDigits)
}

// isName reports whether s may be the name of a tenant or a batch.
func isName(s string) bool { return message.CheckName(s) == nil }

func isDay(s string) bool {
	_, err := time.Parse(time.DateOnly, s)
	return err == nil
}

func isStart(s string) bool {
	return len(s) == startDigits && strings.Trim(s, "0123456789abcdef") == ""
}

// tenantName is the tenant as it stands in a path; the empty one is the default's.
func tenantName(tenant string) (string, error) {
	if tenant == "" {
		return message.DefaultTenant, nil
	}
	if !isName(tenant) {
		return "", badName("tenant", tenant)
	}
	return tenant, nil
}

func badName(what, name string) error {
	return fmt.Errorf("the %s %q cannot be part of a path, expected "+message.NameRule, what, name)
}

func segmentKey(dir string, number int) string {
	return fmt.Sprintf("%s/%s/%04d", dir, segmentsName, number)
}

// ledgerKey names a ledger.
func ledgerKey(dir string, number int) string {
	return fmt.Sprintf("%s/%s/%04d", dir, ledgersName, number)
}
