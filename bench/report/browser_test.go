package report

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// browserNames are the programs that can be asked for a page.
var browserNames = []string{"chromium", "chromium-browser", "google-chrome"}

// browser returns a headless Chromium. On Debian and its relatives, as root, it is installed when it is missing.
func browser(t *testing.T) string {
	t.Helper()
	path, err := findBrowser()
	if err == nil {
		return path
	}
	apt, missing := exec.LookPath("apt-get")
	if missing != nil || os.Getuid() != 0 {
		t.Fatal("the pages are looked at in Chromium: install it so that chromium is on PATH (Debian, as root: apt-get install chromium)")
	}
	for _, args := range [][]string{
		{"update", "-qq"},
		{"install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=300", "chromium"},
	} {
		cmd := exec.Command(apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("apt-get %s: %v: %s", args[0], err, out)
		}
	}
	if path, err = findBrowser(); err != nil {
		t.Fatal(err)
	}
	return path
}

func findBrowser() (string, error) {
	for _, name := range browserNames {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", errors.New("there is no Chromium on PATH")
}

// consoleLine is what the browser writes to its log about a page: INFO:CONSOLE:3] "text", source: ...
var consoleLine = regexp.MustCompile(`(?m)^.*CONSOLE[(:].*$`)

// browserLimit bounds a browser on a busy machine.
const browserLimit = 3 * time.Minute

// loadPage opens a page and returns its document as the browser has it, and what the browser had to say about it.
func loadPage(t *testing.T, program, page string) (document string, console []string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "page.html")
	if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), browserLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--log-level=0",
		"--user-data-dir="+filepath.Join(dir, "profile"), "--dump-dom", "file://"+file)
	var out, failed bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &failed
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v: %s", program, err, failed.String())
	}
	return out.String(), consoleLine.FindAllString(failed.String(), -1)
}

// A browser has nothing to complain about, and sees all pictures. On a page with mistakes it does complain, so silence
// means something.
func TestBrowser(t *testing.T) {
	program := browser(t)
	_, console := loadPage(t, program, `<svg><path d="M1,NaN"/></svg><script>nowhere()</script>`)
	if len(console) < 2 {
		t.Fatalf("two mistakes, and the browser says only %q", console)
	}
	for name, r := range all(t) {
		t.Run(name, func(t *testing.T) {
			var page bytes.Buffer
			if err := r.Page(&page); err != nil {
				t.Fatal(err)
			}
			// The script is the test's own. It tells whether the page fits on a telephone, which is narrower than a
			// browser's window can be.
			probe := `<script>document.documentElement.style.width = "360px"; document.title = document.body.scrollWidth <= 360 ? "fits" : "too wide"</script></body>`
			document, console := loadPage(t, program, strings.Replace(page.String(), "</body>", probe, 1))
			if len(console) > 0 {
				t.Errorf("the browser says %q", console)
			}
			if got, want := strings.Count(document, "</svg>"), strings.Count(page.String(), "</svg>"); got != want || want == 0 {
				t.Errorf("%d pictures, want %d", got, want)
			}
			if !strings.Contains(document, "<title>fits</title>") {
				t.Error("the page is wider than a telephone")
			}
		})
	}
}
