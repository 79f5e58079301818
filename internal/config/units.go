package config

import (
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"time"
	_ "time/tzdata" // the image of a program that stands alone has no zones

	"github.com/dustin/go-humanize"

	"volley/internal/message"
)

var rateForm = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)/(s|min|h)$`)

// maxSize keeps every size far from the edge of an int.
const maxSize = 1 << 40

// parseRate reads 500/s, 100/min or 5000/h as messages a second.
func parseRate(s string) (float64, error) {
	m := rateForm.FindStringSubmatch(s)
	if m == nil {
		return 0, errors.New("must be a rate such as 500/s, 100/min or 5000/h")
	}
	n, err := strconv.ParseFloat(m[1], 64)
	if err != nil || n <= 0 || n > 1e9 {
		return 0, errors.New("must be above 0 and at most 1000000000")
	}
	switch m[2] {
	case "min":
		n /= 60
	case "h":
		n /= 3600
	}
	return n, nil
}

// parseSize reads 64MiB, 10MB or a number of bytes.
func parseSize(s string) (int64, error) {
	n, err := humanize.ParseBytes(s)
	if err != nil || n == 0 || n > maxSize {
		return 0, errors.New("must be a size such as 64MiB, at least 1 byte and at most 1TiB")
	}
	return int64(n), nil
}

// parseDuration reads a duration that is not below 0. The error reads on from what
// was given.
func parseDuration(s string) (time.Duration, error) {
	d, err := message.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, errors.New("must be a duration such as 30s, 15m, 12h or 30d")
	}
	return d, nil
}

// parseZone finds a zone of the IANA database.
func parseZone(s string) (*time.Location, error) {
	zone, err := time.LoadLocation(s)
	if err != nil || s == "" || s == "Local" {
		return nil, errors.New("must be a zone of the IANA database such as Europe/Berlin or UTC")
	}
	return zone, nil
}

// checkURL accepts an absolute http or https address without credentials.
func checkURL(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil, u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return errors.New("must be an address such as https://example.com")
	case u.User != nil:
		return errors.New("must not hold a user name or password")
	case u.Fragment != "":
		return errors.New("must not hold a fragment (#…)")
	}
	return nil
}

// checkStore accepts the address of a bucket.
func checkStore(s string) error {
	u, err := url.Parse(s)
	if err != nil {
		return errors.New("must be an address such as file:///var/lib/volley or s3://bucket")
	}
	switch u.Scheme {
	case "file", "mem", "s3", "gs", "azblob":
		return nil
	}
	return errors.New("must start with one of file://, s3://, gs://, azblob://, mem://")
}
