package load

import "fmt"

// The ids of points are all numbers of four digits, so that a statement can be changed in place.
const (
	firstPoint = 1000
	lastPoint  = 9999
)

// Tables is the statements that make what is read, in the current schema: 9,000 points of 180 bytes, and a large result
// of so many rows of about 210 bytes.
func Tables(rows int) []string {
	const ten = "(SELECT 0 d UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9)"
	numbers := fmt.Sprintf("SELECT a.d + 10*b.d + 100*c.d + 1000*d.d i FROM %s a, %[1]s b, %[1]s c, %[1]s d", ten)
	statements := []string{
		"CREATE TABLE points (id INT PRIMARY KEY, k INT NOT NULL, c CHAR(120) NOT NULL, pad CHAR(60) NOT NULL) CHARSET latin1",
		fmt.Sprintf("INSERT INTO points SELECT i, i * 7, RPAD(SHA2(i, 256), 119, SHA2(i + 1, 256)), SHA2(i, 224) FROM (%s) n WHERE i >= %d", numbers, firstPoint),
		"CREATE TABLE large (id INT PRIMARY KEY, k INT, s VARCHAR(190)) CHARSET latin1",
	}
	const batch = 10_000 // what numbers has
	for from := 0; from < rows; from += batch {
		statements = append(statements, fmt.Sprintf("INSERT INTO large SELECT %[1]d + i, i * 7, RPAD(SHA2(i, 256), 190, SHA2(i + 1, 256)) FROM (%[2]s) n WHERE %[1]d + i < %[3]d", from, numbers, rows))
	}
	return statements
}
