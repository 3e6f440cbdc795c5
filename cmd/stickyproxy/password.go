package main

import (
	"errors"
	"os"
	"strings"

	"github.com/goccy/go-yaml/ast"

	"github.com/stickyproxy/stickyproxy/proxy"
)

// maxPasswordFile is far more than any password; MySQL itself stops at 64 KiB.
const maxPasswordFile = 4 << 10

// setAny takes any text, the empty one too.
func setAny(dst *string) parse {
	return func(text string) error {
		*dst = text
		return nil
	}
}

// source returns a setter for one of the places a password can come from.
func (a *Account) source(dst **string, set func(*string) parse) setter {
	return func(r *reader, at place, n ast.Node) {
		value := new(string)
		a.passwordAt, *dst = at, value
		text(set(value))(r, at, n)
	}
}

// othersMayRead tells whether a file is readable for more than its owner.
func othersMayRead(mode os.FileMode) bool { return mode.IsRegular() && mode.Perm()&0o077 != 0 }

// checkReadable notes a password in a configuration file that others can read.
func checkReadable(c *Config, mode os.FileMode, found *problems) {
	if !othersMayRead(mode) {
		return
	}
	for _, u := range c.usersIn {
		if u.password != nil {
			found.add(u.passwordAt, "others can read this file, which holds a password (its mode is %04o); run chmod 600 %s, or use password_file or password_env",
				mode.Perm(), u.passwordAt.file)
		}
	}
}

// readPasswords gets the password of each account from where it is kept.
func readPasswords(c *Config, env environment, found *problems) {
	if m := c.Monitor; m != nil {
		if m.file == nil && m.env == nil {
			m.env = new(monitorPasswordVariable)
		}
		m.read(env, found)
	}
	c.Users, c.Own = make(map[string]string, len(c.usersIn)), make(map[string]proxy.Own)
	seen := make(map[string]bool, len(c.usersIn))
	for _, u := range c.usersIn {
		if seen[u.Name] {
			found.add(u.at, "the user %q is listed twice; remove one", u.Name)
		}
		seen[u.Name] = true
		if u.own != nil {
			c.Own[u.Name] = *u.own
			if u.password == nil && u.file == nil && u.env == nil {
				continue // its password stays in MySQL
			}
		}
		u.read(env, found)
		c.Users[u.Name] = u.Password
	}
}

// read gets the password from the one source that must have been given.
func (a *Account) read(env environment, found *problems) {
	sources := 0
	for _, s := range []*string{a.password, a.file, a.env} {
		if s != nil {
			sources++
		}
	}
	switch {
	case sources == 0:
		found.add(a.at, "it has nothing; add password_file or password_env, or mode, scope or wait")
	case sources > 1:
		found.add(a.passwordAt, "the password is given twice; keep one of password, password_file and password_env")
	case a.password != nil:
		a.Password = *a.password
	case a.file != nil:
		a.readFile(found)
	default:
		value, ok := env(*a.env)
		if !ok {
			found.add(a.passwordAt, "the environment variable %s with the password of %q is not set; set it for this program", *a.env, a.Name)
		}
		a.Password = value
	}
}

// readFile reads the password file. One line end at its end does not belong to
// the password: editors and echo write one.
func (a *Account) readFile(found *problems) {
	content, mode, err := readSmallFile(*a.file, maxPasswordFile)
	switch {
	case err != nil:
		found.add(a.passwordAt, "%s: %w", *a.file, err)
		return
	case othersMayRead(mode):
		found.add(a.passwordAt, "others can read %s, which holds a password (its mode is %04o); run chmod 600 %s", *a.file, mode.Perm(), *a.file)
		return
	}
	if a.Password, err = oneLine(string(content)); err != nil {
		found.add(a.passwordAt, "%s %w", *a.file, err)
	}
}

// oneLine returns the one line of a password file without its end.
func oneLine(s string) (string, error) {
	s = strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
	switch {
	case s == "":
		return "", errors.New("is empty; write the password into it")
	case strings.ContainsAny(s, "\n\r"):
		return "", errors.New("has more than one line; it must hold the password alone")
	default:
		return s, nil
	}
}
