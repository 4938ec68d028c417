-- What is looked for again and again while thousands of alarms are open: shelves that may end, and silent assets.
CREATE INDEX hf_alarm_shelved ON hf_alarm (stream) WHERE state = 'SHELVED';
CREATE INDEX hf_alarm_whole ON hf_alarm (stream) WHERE is_over = 0 AND channel = '';
