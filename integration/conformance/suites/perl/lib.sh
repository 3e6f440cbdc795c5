# What the tests of Perl's two drivers share, which have one origin.
. integration/conformance/suites/lib.sh

# dbd runs the tests of a driver, from Debian's source, with what Debian built of it: package, its name in DBI, and the test
# files to run, all if there are none.
dbd() {
	packages "$1" libtest-deep-perl libtest-distmanifest-perl
	local source
	source=$(debian_source "$1")
	cd "$source"
	printf 'CREATE DATABASE test CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci' | client
	export DBI_DSN="DBI:$2:database=test;host=$HOST;port=$PORT" DBI_USER=$USER DBI_PASS=$PASSWORD CONNECTION_TESTING=1
	shift 2
	[ $# -gt 0 ] || set -- t/*.t
	for file; do
		echo "== $file"
		timeout 120 /usr/bin/perl -It "$file" 2>&1 || true
	done | tee "$WORK/tap" | awk '
		/^== / { file = $2; n = 0; next }
		/^(not )?ok [0-9]+/ { verdict = /^not/ ? "not ok" : "ok"; if (/# (SKIP|skip)/) verdict = "skip"; if (/# TODO/) verdict = "skip"; n++; print verdict " " file "#" n }' >&3
}
