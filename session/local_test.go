package session

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestLocal(t *testing.T) {
	at := time.Unix(1000, 0)
	var l Local
	checkNeed(t, l.Need(), Need{})

	l.Begin()
	l.Begin()
	checkNeed(t, l.Need(), Need{Writing: 2})
	l.End(Write{None: true, At: at, Unproven: true})
	checkNeed(t, l.Need(), Need{Writing: 1})
	l.End(Write{At: at, GTID: mustMySQL(t, uuidA+":5")})
	checkNeed(t, l.Need(), Need{GTID: mustMySQL(t, uuidA+":5"), WroteAt: at})

	l.Begin()
	l.End(Write{At: at.Add(1)})
	checkNeed(t, l.Need(), Need{GTID: mustMySQL(t, uuidA+":5"), WroteAt: at.Add(1), UnprovenAt: at.Add(1)})

	l.Begin()
	l.End(Write{At: at.Add(2), GTID: mustMySQL(t, uuidA+":9"), Unproven: true})
	checkNeed(t, l.Need(), Need{GTID: mustMySQL(t, uuidA+":5-9"), WroteAt: at.Add(2), UnprovenAt: at.Add(2)})

	l.Begin()
	l.End(Write{At: at.Add(2), Answered: true})
	l.Begin()
	l.End(Write{At: at.Add(2), Answered: true, GTID: mustMySQL(t, uuidA+":6")}) // it is all told
	checkNeed(t, l.Need(), Need{GTID: mustMySQL(t, uuidA+":5-9"), WroteAt: at.Add(2), UnprovenAt: at.Add(2), AsOf: at.Add(2)})
	l.need.AsOf = time.Time{}

	l.Pin(at)
	checkNeed(t, l.Need(), Need{GTID: mustMySQL(t, uuidA+":5-9"), WroteAt: at.Add(2), UnprovenAt: at.Add(2)})
	l.Pin(at.Add(3))
	checkNeed(t, l.Need(), Need{GTID: mustMySQL(t, uuidA+":5-9"), WroteAt: at.Add(3), UnprovenAt: at.Add(3)})
}

func TestLocalEndWithoutTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Local
		l.Begin()
		time.Sleep(time.Second)
		l.End(Write{})
		checkNeed(t, l.Need(), Need{WroteAt: time.Now(), UnprovenAt: time.Now()})
	})
}

func TestLocalEndWithoutBegin(t *testing.T) {
	mustPanic(t, func() { new(Local).End(Write{}) })
}
