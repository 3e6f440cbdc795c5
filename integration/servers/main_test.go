package servers

import (
	"testing"

	"github.com/stickyproxy/stickyproxy/internal/mysqltest/clustertest"
)

func TestMain(m *testing.M) { clustertest.Main(m) }
