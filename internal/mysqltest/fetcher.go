package mysqltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// fetcher holds one run of fetch. What was downloaded stays in dir until all went well.
type fetcher struct {
	distribution

	dir  string
	log  io.Writer
	arch string
	uri  string // of the Debian archive that this machine's apt uses
}

func (f *fetcher) fetch(ctx context.Context, prefix string) error {
	if err := f.prepare(ctx); err != nil {
		return err
	}
	fmt.Fprintf(f.log, "%s: reading the package index of Debian %s\n", f.engine, f.suite)
	if _, err := f.apt(ctx, "apt-get", "update", "-qq"); err != nil {
		return err
	}
	answer, err := f.apt(ctx, "apt-get", append([]string{"install", "-y", "-qq", "--print-uris"}, f.packages...)...)
	if err != nil {
		return err
	}
	files := packageFiles(answer)
	if len(files) < 10 {
		return fmt.Errorf("apt's answer was not understood: %s", lastLines(answer, 5))
	}
	names := make([]string, len(files))
	for i, file := range files {
		names[i], _, _ = strings.Cut(file, "_")
	}
	fmt.Fprintf(f.log, "%s: downloading %d packages\n", f.engine, len(files))
	if _, err := f.apt(ctx, "apt-get", slices.Concat([]string{"download", "-qq"}, names, f.alone)...); err != nil {
		return err
	}
	for _, name := range f.alone {
		found, err := filepath.Glob(filepath.Join(f.dir, "debs", name+"_*.deb"))
		if err != nil || len(found) != 1 {
			return fmt.Errorf("%d files of package %s after the download", len(found), name)
		}
		files = append(files, filepath.Base(found[0]))
	}
	return f.unpack(ctx, files, prefix)
}

// packageFiles reads the answer of apt-get install --print-uris ('URI' FILE SIZE HASH a line) and
// returns the names of the files that are needed.
func packageFiles(answer []byte) []string {
	var files []string
	for line := range strings.Lines(string(answer)) {
		fields := strings.Fields(line)
		if len(fields) < 3 || !strings.HasPrefix(fields[0], "'") {
			continue
		}
		if name, _, _ := strings.Cut(fields[1], "_"); !notNeeded.MatchString(name) {
			files = append(files, fields[1])
		}
	}
	return files
}

// prepare makes the folders and apt's private configuration.
func (f *fetcher) prepare(ctx context.Context) error {
	for _, tool := range []string{"apt-get", "dpkg", "dpkg-deb"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is needed: this is no Debian", tool)
		}
	}
	if _, err := os.Stat(fetchKeyring); err != nil {
		return fmt.Errorf("%s is needed: install the package debian-archive-keyring", fetchKeyring)
	}
	var err error
	if f.arch, err = output(ctx, "dpkg", "--print-architecture"); err != nil {
		return err
	}
	if f.uri, err = debianMirror(ctx); err != nil {
		return err
	}
	for _, dir := range []string{"sources", "preferences", "debs", "state/lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(f.dir, dir), 0o755); err != nil {
			return err
		}
	}
	return errors.Join(
		f.write("status", ""),
		f.write("sources/debian.sources", fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s\nComponents: main\nArchitectures: %s\nSigned-By: %s\n",
			f.uri, f.suite, f.arch, fetchKeyring)),
		f.write("apt.conf", f.configuration()))
}

func (f *fetcher) write(name, text string) error {
	return os.WriteFile(filepath.Join(f.dir, name), []byte(text), 0o644)
}

// configuration is apt's, see apt.conf(5). The index targets that desktops use are not fetched.
func (f *fetcher) configuration() string {
	var b strings.Builder
	for _, line := range []string{
		`Dir::Etc::sourcelist "/dev/null"`,
		`Dir::Etc::sourceparts "` + f.dir + `/sources"`,
		`Dir::Etc::preferences "/dev/null"`,
		`Dir::Etc::preferencesparts "` + f.dir + `/preferences"`,
		`Dir::State "` + f.dir + `/state"`,
		`Dir::State::status "` + f.dir + `/status"`,
		`Dir::Cache "` + f.dir + `/cache"`,
		`APT::Architecture "` + f.arch + `"`,
		`APT::Architectures { "` + f.arch + `"; }`,
		`APT::Sandbox::User ""`,
		`APT::Install-Recommends "false"`,
		`APT::Get::List-Cleanup "true"`,
		`Acquire::Languages "none"`,
		`Acquire::Retries "3"`,
		`Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false"`,
		`Acquire::IndexTargets::deb::DEP-11-icons::DefaultEnabled "false"`,
		`Acquire::IndexTargets::deb::DEP-11-icons-small::DefaultEnabled "false"`,
		`Acquire::IndexTargets::deb::DEP-11-icons-hidpi::DefaultEnabled "false"`,
		`Acquire::IndexTargets::deb::DEP-11-icons-large::DefaultEnabled "false"`,
		`Acquire::IndexTargets::deb::CNF::DefaultEnabled "false"`,
		`Debug::NoLocking "true"`,
	} {
		b.WriteString(line + ";\n")
	}
	return b.String()
}

// apt runs one of apt's programs with the private configuration and returns its output.
func (f *fetcher) apt(ctx context.Context, program string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = filepath.Join(f.dir, "debs") // where download puts its files
	cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(f.dir, "apt.conf"), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", program, args[0], err, lastLines(stderr.Bytes(), 5))
	}
	return out, nil
}

// unpack makes the new prefix beside the old one and puts it into place in one step.
func (f *fetcher) unpack(ctx context.Context, files []string, prefix string) error {
	fresh := prefix + ".new" // the lock is held: nobody else uses this name
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	root := filepath.Join(fresh, "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return err
	}
	for _, file := range files {
		if _, err := output(ctx, "dpkg-deb", "-x", filepath.Join(f.dir, "debs", file), root); err != nil {
			return err
		}
	}
	for _, unused := range []string{"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/bug", "usr/share/lintian", "etc"} {
		if err := os.RemoveAll(filepath.Join(root, unused)); err != nil {
			return err
		}
	}
	p, err := f.find(ctx, fresh)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(fresh, fetchedStamp), []byte(p.version+"\n"), 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(prefix); err != nil {
		return err
	}
	if err := os.Rename(fresh, prefix); err != nil {
		return err
	}
	fmt.Fprintf(f.log, "%s %s is ready in %s\n", f.engine, p.version, prefix)
	return os.RemoveAll(f.dir)
}

// debianMirror returns the address of the Debian archive from which this machine's apt installs.
func debianMirror(ctx context.Context) (string, error) {
	const format = "$(REPO_URI) $(LABEL) $(COMPONENT)"
	out, err := output(ctx, "apt-get", "indextargets", "--format", format, "Created-By: Packages")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[1] == "Debian" && fields[2] == "main" {
			return fields[0], nil
		}
	}
	return "", errors.New("apt names no Debian mirror with the component main: on Debian, run apt-get update first")
}

// output runs a command and returns what it printed, without white space at the ends.
func output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, args[0], err, lastLines(stderr.Bytes(), 5))
	}
	return strings.TrimSpace(string(out)), nil
}
