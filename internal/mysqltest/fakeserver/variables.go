package fakeserver

import (
	"regexp"
	"strings"
)

// asked is a system variable in a question for values.
var asked = regexp.MustCompile(`@@(\w+)`)

// Values answers the question for system variables with which server connections begin: the values of those that lines
// has, each name=value, in the order in which question asks for them behind CONCAT_WS, a line each; others are empty.
func Values(question, lines string) string {
	_, list, _ := strings.Cut(question, "CONCAT_WS(")
	var values []string
	for _, m := range asked.FindAllStringSubmatch(list, -1) {
		value := ""
		for line := range strings.SplitSeq(lines, "\n") {
			if v, ok := strings.CutPrefix(line, m[1]+"="); ok {
				value = v
			}
		}
		values = append(values, value)
	}
	return strings.Join(values, "\n")
}
