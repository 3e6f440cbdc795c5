package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// reader turns the syntax tree of one file into settings. It reads the tree
// itself, instead of decoding into a struct, because then each value is next to
// its line and column when it is found wrong. It goes on after a problem.
type reader struct {
	file  string
	found *problems
}

// setter reads one node. at is the place of the node, with its key.
type setter func(r *reader, at place, n ast.Node)

// setting is one key that a mapping may have.
type setting struct {
	name string
	set  setter
	need string // what to do when the key is missing; "": it can be left out
}

// root parses a file. It returns nil when the file is empty or is not YAML; the
// latter is noted.
func (r *reader) root(text []byte) ast.Node {
	file, err := parseYAML(text)
	if err != nil {
		r.found.add(r.syntaxErrorAt(err), "%s; it is not YAML as it stands", syntaxMessage(err))
		return nil
	}
	var root ast.Node
	for _, doc := range file.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if root != nil {
			r.found.add(r.place("", doc.Body), "a second document begins here; put everything into one")
			break
		}
		root = doc.Body
	}
	return root
}

// parseYAML is the parser with a guard: a panic on a malformed file is an error
// about the file.
func parseYAML(text []byte) (file *ast.File, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the YAML parser failed: %v", p)
		}
	}()
	return parser.ParseBytes(text, 0)
}

// syntaxErrorAt returns where the parser stopped.
func (r *reader) syntaxErrorAt(err error) place {
	var e yaml.Error
	if errors.As(err, &e) && e.GetToken() != nil {
		return r.tokenPlace("", e.GetToken())
	}
	return place{file: r.file, line: 1, column: 1}
}

// syntaxMessage returns what the parser said, without its picture of the source.
func syntaxMessage(err error) string {
	var e yaml.Error
	if errors.As(err, &e) {
		return e.GetMessage()
	}
	return err.Error()
}

// mapping reads the keys of n. An unknown key is a problem that names the key
// that was probably meant.
func (r *reader) mapping(at place, n ast.Node, settings ...setting) {
	pairs, ok := r.pairs(at, n)
	if !ok {
		return
	}
	given := make(map[string]bool, len(pairs))
	for _, pair := range pairs {
		name := pair.Key.GetToken().Value
		given[name] = true
		key := joinKey(at.key, name)
		set := find(settings, name)
		switch {
		case set == nil:
			r.found.add(r.tokenPlace("", pair.Key.GetToken()), "unknown key %q; %s", key, suggest(settings, name))
		case pair.Value == nil || pair.Value.Type() == ast.NullType:
			r.found.add(r.tokenPlace(key, pair.Key.GetToken()), "it has no value; give one or remove the key")
		default:
			set(r, r.place(key, pair.Value), pair.Value)
		}
	}
	for _, s := range settings {
		if s.need != "" && !given[s.name] {
			r.found.add(at, "it has no %s; %s", s.name, s.need)
		}
	}
}

// pairs returns the keys and values of a mapping.
func (r *reader) pairs(at place, n ast.Node) ([]*ast.MappingValueNode, bool) {
	switch n := n.(type) {
	case *ast.MappingNode:
		return n.Values, true
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, true
	default:
		r.found.add(at, "it is %s; write keys and values, like name: value", describe(n))
		return nil, false
	}
}

// list returns a setter that reads each element of a list.
func list(each setter) setter {
	return func(r *reader, at place, n ast.Node) {
		sequence, ok := n.(*ast.SequenceNode)
		if !ok {
			r.found.add(at, "it is %s; write a list, each element on a line that begins with a dash", describe(n))
			return
		}
		for i, element := range sequence.Values {
			key := fmt.Sprintf("%s[%d]", at.key, i)
			if element == nil || element.Type() == ast.NullType {
				r.found.add(place{file: r.file, line: at.line, column: at.column, key: key}, "it has no value; remove the dash")
				continue
			}
			each(r, r.place(key, element), element)
		}
	}
}

// scalar returns a setter for one value without structure. Numbers and truth
// values are taken by the letters that stand in the file.
func scalar(p parse) setter {
	return func(r *reader, at place, n ast.Node) {
		text, ok := scalarText(n)
		if !ok {
			r.found.add(at, "it is %s; write a single value", describe(n))
			return
		}
		if err := p(text); err != nil {
			r.found.add(at, "%w", err)
		}
	}
}

// text is scalar for names and passwords, where 007 is not 7 and yes is not
// true: these must be written in quotes.
func text(p parse) setter {
	return func(r *reader, at place, n ast.Node) {
		switch n.(type) {
		case *ast.StringNode, *ast.LiteralNode:
			scalar(p)(r, at, n)
		default:
			r.found.add(at, "it is %s; put it in quotes to make it text", describe(n))
		}
	}
}

// truth returns a setter for true and false.
func truth(dst *bool) setter {
	return func(r *reader, at place, n ast.Node) {
		b, ok := n.(*ast.BoolNode)
		if !ok {
			r.found.add(at, "it is %s; write true or false", describe(n))
			return
		}
		*dst = b.Value
	}
}

// scalarText returns the letters of a value without structure.
func scalarText(n ast.Node) (string, bool) {
	switch n := n.(type) {
	case *ast.StringNode:
		return n.Value, true
	case *ast.LiteralNode:
		return n.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	default:
		return "", false
	}
}

// describe names the kind of a node for an error.
func describe(n ast.Node) string {
	switch n.(type) {
	case *ast.MappingNode, *ast.MappingValueNode:
		return "a mapping"
	case *ast.SequenceNode:
		return "a list"
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return "a number"
	case *ast.BoolNode:
		return "true or false"
	case *ast.StringNode, *ast.LiteralNode:
		return "text"
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return "an anchor or alias, which this file cannot have"
	case *ast.TagNode:
		return "a tag, which this file cannot have"
	default:
		return "something else"
	}
}

// place returns where n begins.
func (r *reader) place(key string, n ast.Node) place {
	switch n := n.(type) {
	case *ast.MappingNode:
		// Its own token is the first colon or brace; the first key is what one sees.
		if !n.IsFlowStyle && len(n.Values) > 0 {
			return r.tokenPlace(key, n.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return r.tokenPlace(key, n.Key.GetToken())
	}
	return r.tokenPlace(key, n.GetToken())
}

func (r *reader) tokenPlace(key string, t *token.Token) place {
	p := place{file: r.file, line: 1, column: 1, key: key}
	if t != nil && t.Position != nil {
		p.line, p.column = t.Position.Line, t.Position.Column
	}
	return p
}

// joinKey returns the full name of a key, "consistency.window".
func joinKey(parent, name string) string {
	if parent == "" {
		return name
	}
	return parent + "." + name
}

// find returns what reads the key, or nil.
func find(settings []setting, name string) setter {
	for _, s := range settings {
		if s.name == name {
			return s.set
		}
	}
	return nil
}

// suggest says what to write instead of an unknown key.
func suggest(settings []setting, name string) string {
	best, nearest := len(name)/3+1, "" // with a third of the letters wrong it is another word
	names := make([]string, len(settings))
	for i, s := range settings {
		names[i] = s.name
		if d := editDistance(name, s.name); d < best {
			best, nearest = d, s.name
		}
	}
	if nearest != "" {
		return fmt.Sprintf("did you mean %q?", nearest)
	}
	return "known here: " + strings.Join(names, ", ")
}

// editDistance returns how many letters have to be added, taken away or replaced
// to turn a into b (Levenshtein's distance, a row at a time).
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			substitute := diagonal
			if a[i] != b[j] {
				substitute++
			}
			diagonal = row[j+1]
			row[j+1] = min(substitute, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
