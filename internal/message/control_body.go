package message

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// CheckControl refuses what a program would read otherwise than it was meant in the body
// of a control: null, which many clients write for an empty list and which would read as
// if nothing had been given, and a key that stands twice in one object, in whatever case
// its letters are. The error names the place. Text that is not JSON is no error here,
// since decoding it says more, nor is an empty one.
func CheckControl(body []byte) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	if err := checkControl(dec, "", maxControlDepth); !errors.Is(err, errNotJSON) {
		return err
	}
	return nil
}

// errNotJSON ends a check at text that is not JSON. A check that went on would not end:
// such a decoder says for ever that there is more.
var errNotJSON = errors.New("not JSON")

// maxControlDepth is how deep the body of a control may be nested; none needs more than two.
const maxControlDepth = 10

func checkControl(dec *json.Decoder, path string, depth int) error {
	if depth == 0 {
		return fmt.Errorf("%s is nested more than %d deep", path, maxControlDepth)
	}
	token, err := dec.Token()
	if err != nil {
		return errNotJSON
	}
	switch token {
	case nil:
		if path == "" {
			path = "all of it"
		}
		return fmt.Errorf("%s is null, expected a value, or nothing at all", path)
	case json.Delim('{'):
		return checkMembers(dec, path, depth)
	case json.Delim('['):
		for i := 0; dec.More(); i++ {
			if err := checkControl(dec, fmt.Sprintf("%s[%d]", path, i), depth-1); err != nil {
				return err
			}
		}
		_, _ = dec.Token() // its end; one that is missing is met by whoever decodes
	}
	return nil
}

func checkMembers(dec *json.Decoder, path string, depth int) error {
	seen := map[string]bool{}
	for dec.More() {
		token, err := dec.Token()
		if err != nil {
			return errNotJSON
		}
		key, _ := token.(string) // a decoder gives nothing else here
		at := Clip(key, maxKeyShown)
		if path != "" {
			at = path + "." + at
		}
		folded := strings.ToLower(strings.ToUpper(key)) // as far as encoding/json folds letters
		if seen[folded] {
			return fmt.Errorf("%s is given twice, expected each key once", at)
		}
		seen[folded] = true
		if err := checkControl(dec, at, depth-1); err != nil {
			return err
		}
	}
	_, _ = dec.Token() // its end
	return nil
}

// maxKeyShown is how many bytes of a caller's key an error shows.
const maxKeyShown = 100
