# MariaDB's own tests, for the suites that run them; sourced behind lib.sh.

# The programs are unpacked and not installed: the package of the tests would install a server that starts.
root="$CACHE/mtr"
if [ ! -e "$root/.complete" ]; then
	rm -rf "$root" && mkdir -p "$root/debs"
	version=$(dpkg-query -W -f '${Version}' mariadb-server-core)
	(cd "$root/debs" && apt-get -q -o APT::Sandbox::User= download libpcre2-posix3 "mariadb-test=$version" \
		"mariadb-test-data=$version" "mariadb-client=$version" "mariadb-client-core=$version" "mariadb-server=$version" "mariadb-server-core=$version")
	for deb in "$root"/debs/*.deb; do dpkg-deb -x "$deb" "$root"; done
	rm -rf "$root/debs" "$root/usr/share/doc" "$root/usr/share/man"
	touch "$root/.complete"
fi
LD_LIBRARY_PATH=$(dirname "$root"/usr/lib/*/libpcre2-posix.so.3)
export LD_LIBRARY_PATH
