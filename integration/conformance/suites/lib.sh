# What the scripts of the suites share. It is sourced by them, in the root of the repository.
set -euo pipefail

# packages installs Debian packages that are not there. As root only.
packages() {
	local missing=()
	for p in "$@"; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q 'ok installed' || missing+=("$p")
	done
	[ ${#missing[@]} = 0 ] && return
	DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}"
}

# debian_source prints the folder in which a Debian source package is unpacked, without Debian's patches. apt gets lists
# of its own, because machines seldom have those of the sources.
debian_source() {
	local dir="$CACHE/source/$1"
	if [ ! -e "$dir/.complete" ]; then
		source_lists >&2
		rm -rf "$dir" && mkdir -p "$dir"
		(cd "$dir" && APT_CONFIG="$CACHE/apt/apt.conf" apt-get source -q --only-source --download-only "$1" || true) >&2
		tar -xf "$(find "$dir" -name '*.orig.tar.*' ! -name '*.asc' | head -n 1)" -C "$dir" --strip-components=1 ||
			return # by itself bash does not stop in $(...)
		touch "$dir/.complete"
	fi
	echo "$dir"
}

# source_lists fetches the lists of the source packages of the archive that this machine installs from.
source_lists() {
	local uri apt="$CACHE/apt"
	[ -e "$apt/.complete" ] && return
	mkdir -p "$apt"/{sources,state/lists/partial,cache/archives/partial}
	uri=$(apt-get indextargets --format '$(REPO_URI) $(LABEL) $(COMPONENT) $(CODENAME)' 'Created-By: Packages' |
		awk '$2 == "Debian" && $3 == "main" { print $1, $4; exit }')
	printf 'Types: deb-src\nURIs: %s\nSuites: %s\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n' $uri \
		>"$apt/sources/debian.sources"
	cat >"$apt/apt.conf" <<-END
		Dir::Etc::sourcelist "/dev/null";
		Dir::Etc::sourceparts "$apt/sources";
		Dir::State "$apt/state";
		Dir::State::status "/var/lib/dpkg/status";
		Dir::Cache "$apt/cache";
		APT::Sandbox::User "";
		Debug::NoLocking "true";
		Acquire::Languages "none";
	END
	APT_CONFIG="$apt/apt.conf" apt-get update -q
	touch "$apt/.complete"
}

# client runs SQL from the standard input with the shell of MariaDB.
client() { mariadb --no-defaults -h "$HOST" -P "$PORT" -u "$USER" -p"$PASSWORD" "$@"; }

# pytest runs Debian's pytest and reports each test.
pytest() {
	{ /usr/bin/python3 -m pytest -v -p no:cacheprovider "$@" || true; } | tee pytest.log |
		awk '$1 !~ /::/ { next } # what else is printed, as "_____ ERROR at setup of"
			{ sub(/ <- [^ ]+/, "") } # where a test is inherited from
			$2 == "PASSED" || $2 == "XFAIL" { print "ok " $1 } $2 == "FAILED" || $2 == "ERROR" || $2 == "XPASS" { print "not ok " $1 } $2 == "SKIPPED" { print "skip " $1 }' >&3
}
