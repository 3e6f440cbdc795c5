# MySQL's own tests, for the suite that runs them; sourced behind lib.sh.

# They are in the only suite of Debian that has MySQL, as the servers are (internal/mysqltest), and are unpacked beside
# them: what is a program starts through the servers' dynamic loader.
root="$CACHE/mysqltest"
servers="$(dirname "$CACHE")/mysql/root"
loader=$(find "$servers/usr/lib" -name 'ld-linux-*.so.*' | head -n 1)

# program FILE [NAME] makes a program of the tests' folder for programs out of a file that needs the loader.
program() {
	local name="$root/usr/bin/${2:-$(basename "$1")}"
	printf '#!/bin/sh\nexec %s --argv0 %s --library-path %s %s "$@"\n' "$loader" "$1" "$(dirname "$loader")" "$1" >"$name"
	chmod +x "$name"
}
is_program() { [ -f "$1" ] && [ ! -L "$1" ] && [ "$(head -c 4 "$1" | tail -c 3)" = ELF ]; }

if [ ! -e "$root/.complete" ]; then
	source_lists >&2
	rm -rf "$root" && mkdir -p "$root"/{apt/sources,apt/state/lists/partial,apt/cache/archives/partial,usr/bin,usr/sbin}
	sed 's/^Types: .*/Types: deb/; s/^Suites: .*/Suites: sid/' "$CACHE/apt/sources/debian.sources" >"$root/apt/sources/sid.sources"
	sed "s|$CACHE/apt|$root/apt|g; s|/var/lib/dpkg/status|/dev/null|" "$CACHE/apt/apt.conf" >"$root/apt/apt.conf"
	(
		cd "$root/apt"
		export APT_CONFIG="$root/apt/apt.conf"
		apt-get update -q && apt-get download -q "mysql-testsuite=$(cat "$servers/../version")" && dpkg-deb -x mysql-testsuite_*.deb "$root"
	) >&2
	rm -rf "$root/apt" "$root/usr/share/doc"
	for file in "$servers"/usr/bin/*; do ! is_program "$file" || program "$file"; done
	mv "$root/usr/lib/mysql-test/bin" "$root/usr/lib/mysql-test/programs" && mkdir "$root/usr/lib/mysql-test/bin"
	for file in "$root"/usr/lib/mysql-test/programs/*; do ! is_program "$file" || program "$file"; done
	program "$servers/usr/sbin/mysqld" ../sbin/mysqld
	for file in "$servers"/usr/share/mysql/*; do ln -sfn "$file" "$root/usr/share/mysql/"; done
	touch "$root/.complete"
fi
