package measure

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ticks are those of Linux's clock in a second, as /proc shows them on every platform that Go
// supports.
const ticks = 100

// CPUTime is how long a running process and its threads have used a processor, to a hundredth
// of a second. It is read from /proc, which only Linux has; elsewhere it is an error.
func CPUTime(pid int) (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return cpuOf(string(b))
}

// cpuOf reads the fields utime and stime, the 14th and 15th. The second one is a name that may
// contain anything but ends with the last parenthesis.
func cpuOf(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const user, system = 14 - 3, 15 - 3
	if len(fields) <= system {
		return 0, fmt.Errorf("%d fields in the process's stat", len(fields))
	}
	total := time.Duration(0)
	for _, text := range []string{fields[user], fields[system]} {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("the process's stat: %w", err)
		}
		total += time.Duration(n) * time.Second / ticks
	}
	return total, nil
}
