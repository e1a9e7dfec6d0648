package store

import "gorm.io/gorm"

// Arrange is arrange, for tests of what SQL cannot show.
var Arrange = arrange

// Step is the gap between neighbours.
const Step = step

// BeforeStatement calls f before every statement that writes, whatever kind it is.
func (s *Store) BeforeStatement(f func()) error {
	call := func(*gorm.DB) { f() }
	callbacks := s.db.Callback()
	for _, register := range []func(string, func(*gorm.DB)) error{
		callbacks.Create().Before("gorm:create").Register,
		callbacks.Update().Before("gorm:update").Register,
		callbacks.Raw().Before("gorm:raw").Register,
		callbacks.Query().Before("gorm:query").Register,
	} {
		if err := register("test:before", call); err != nil {
			return err
		}
	}
	return nil
}

// Setting asks both sides of the store for a setting of their connections.
func (s *Store) Setting(query string) (write, read string, err error) {
	if err = s.db.Raw(query).Scan(&write).Error; err == nil {
		err = s.reader.Raw(query).Scan(&read).Error
	}
	return write, read, err
}
