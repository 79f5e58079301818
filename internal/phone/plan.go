package phone

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"sync"

	"github.com/nyaruka/phonenumbers"
)

// maxNational is the most digits of a national number that the library reads.
const maxNational = 17

// plan is what the library knows of the numbers of a calling code, or of a region:
// as much of it as decides without the library what the library would answer.
type plan struct {
	code string
	// trunk is the prefix of national numbers within the country; empty is none.
	trunk string
	// possible tells, by its digits, whether a national number is one with its area.
	possible [maxNational + 1]bool
	// prefix matches what the library may take off a national number, or replace:
	// the trunk prefix, carriers, codes of islands. literal stands for it where it
	// is digits only; nil and "" are nothing.
	prefix  *regexp.Regexp
	literal string
	// idd matches the prefix of international numbers; iddLiteral as above. These are
	// of regions only.
	idd        *regexp.Regexp
	iddLiteral string
	region     string
	// usual tells, by its digits, whether a national number is as long as a land line
	// or a mobile of the region usually is; the library gives one example of each.
	usual [maxNational + 1]bool
	// keepsTrunk means that some number may begin as the trunk prefix does, so that
	// the library decides whether one is a prefix.
	keepsTrunk bool
	// general matches every number that is assigned, of a code that one region has
	// alone; nil is not known.
	general func() *regexp.Regexp
	// assigned are the region's patterns of assigned numbers: a number has to match the
	// first one, and one of the others, which are those of land lines and mobiles.
	assigned func() []*regexp.Regexp
}

// plans are the numbering plans of the world, by calling code and by region. They
// are read when the first number is and do not change.
type plans struct {
	codes   map[string]*plan
	regions map[string]*plan
}

var world = sync.OnceValue(readPlans)

func planOf(code string) *plan {
	if p := world().codes[code]; p != nil {
		return p
	}
	return &plan{}
}

// regionOf is nil for a region that there is not.
func regionOf(region string) *plan { return world().regions[region] }

func readPlans() *plans {
	w := &plans{codes: map[string]*plan{}, regions: map[string]*plan{}}
	// The collection is the one that the library itself has in memory.
	all, err := phonenumbers.MetadataCollection()
	if err != nil {
		return w // then the fast way is closed, and the library decides all
	}
	for _, m := range all.GetMetadata() {
		code := int(m.GetCountryCode())
		p := &plan{code: strconv.Itoa(code), region: m.GetId(), trunk: m.GetNationalPrefix()}
		p.prefix, p.literal = pattern(m.GetNationalPrefixForParsing())
		p.idd, p.iddLiteral = pattern(m.GetInternationalPrefix())
		p.keepsTrunk = p.trunk != "" && mayBegin(m.GetGeneralDesc().GetNationalNumberPattern(), rune(p.trunk[0]))
		p.assigned = sync.OnceValue(func() (all []*regexp.Regexp) {
			for _, d := range []*phonenumbers.PhoneNumberDesc{m.GetGeneralDesc(), m.GetFixedLine(), m.GetMobile()} {
				if d.GetNationalNumberPattern() != "" {
					all = append(all, whole(d))
				}
			}
			return all
		})
		for _, d := range []*phonenumbers.PhoneNumberDesc{m.GetFixedLine(), m.GetMobile()} {
			if n := len(d.GetExampleNumber()); n > 0 && n <= maxNational {
				p.usual[n] = true
			}
		}
		main := phonenumbers.GetRegionCodeForCountryCode(code)
		if p.region == main {
			for n := range p.possible {
				p.possible[n] = possibleLength(code, n)
			}
			w.codes[p.code] = p
			if len(phonenumbers.GetRegionCodesForCountryCode(code)) == 1 {
				p.general = sync.OnceValue(func() *regexp.Regexp { return whole(m.GetGeneralDesc()) })
			}
		}
		w.regions[p.region] = p
	}
	delete(w.regions, phonenumbers.REGION_CODE_FOR_NON_GEO_ENTITY)
	for _, p := range w.regions {
		if main := w.codes[p.code]; main != nil {
			p.possible = main.possible
		}
	}
	return w
}

// possibleLength asks the library, which looks at nothing but the length.
func possibleLength(code, digits int) bool {
	if digits < 2 {
		return false
	}
	country, number := int32(code), uint64(1)
	for range digits - 1 {
		number *= 10
	}
	n := &phonenumbers.PhoneNumber{CountryCode: &country, NationalNumber: &number}
	return phonenumbers.IsPossibleNumberWithReason(n) == phonenumbers.IS_POSSIBLE
}

// pattern compiles an expression that has to match at the beginning, or returns it
// as it is where it is digits only.
func pattern(expr string) (*regexp.Regexp, string) {
	if strings.Trim(expr, "0123456789") == "" {
		return nil, expr
	}
	return regexp.MustCompile("^(?:" + expr + ")"), ""
}

// whole compiles the pattern of whole numbers.
func whole(d *phonenumbers.PhoneNumberDesc) *regexp.Regexp {
	return regexp.MustCompile("^(?:" + d.GetNationalNumberPattern() + ")$")
}

func begins(digits string, expr *regexp.Regexp, literal string) bool {
	if expr != nil {
		return expr.MatchString(digits)
	}
	return literal != "" && strings.HasPrefix(digits, literal)
}

// mayBegin reports whether something that an expression matches may begin with a
// character; true where that is not known.
func mayBegin(expr string, c rune) bool {
	tree, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return true
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return true
	}
	seen := make([]bool, len(prog.Inst))
	var walk func(pc uint32) bool
	walk = func(pc uint32) bool {
		if seen[pc] {
			return false
		}
		seen[pc] = true
		switch in := &prog.Inst[pc]; in.Op {
		case syntax.InstAlt, syntax.InstAltMatch:
			return walk(in.Out) || walk(in.Arg)
		case syntax.InstCapture, syntax.InstNop, syntax.InstEmptyWidth:
			return walk(in.Out)
		case syntax.InstFail:
			return false
		case syntax.InstMatch:
			return true
		default:
			return in.MatchRune(c)
		}
	}
	return walk(uint32(prog.Start))
}

// callingCode splits digits that begin with one; false for digits that do not.
func callingCode(digits string) (code, national string) {
	for n := 1; n <= 3 && n <= len(digits); n++ {
		if _, ok := world().codes[digits[:n]]; ok {
			return digits[:n], digits[n:]
		}
	}
	return "", ""
}

// dialsOut reports whether digits begin with the region's international prefix.
func (p *plan) dialsOut(digits string) bool { return begins(digits, p.idd, p.iddLiteral) }

// writes reports whether digits are written as national numbers of the region are.
func (p *plan) writes(digits string) bool {
	return p.trunk == "" || strings.HasPrefix(digits, p.trunk) || p.bare(digits)
}

// bare reports whether digits without a trunk prefix are national ones. In +1 no area
// code begins with 0 or 1.
func (p *plan) bare(digits string) bool {
	return p.trunk == "" || p.code == "1" && (len(digits) == 10 && digits[0] > '1' || len(digits) == 7)
}

// isUsual reports whether a number of the region, in E.164, is as long as they usually
// are.
func (p *plan) isUsual(e164 string) bool {
	n := len(e164) - len("+") - len(p.code)
	return n > 0 && n <= maxNational && p.usual[n]
}

// unclear is the error of digits that may be of this region or of another country.
func (p *plan) unclear() error {
	if p.trunk == "" {
		return fmt.Errorf("could be of more than one country: write + and the country code, as +%s in %s", p.code, p.region)
	}
	return fmt.Errorf("could be of more than one country: write + or %s (+ and the country code, or %s in front of a number of %s)", p.trunk, p.trunk, p.region)
}
