-- Job 1: the CSV file becomes the stream nyc/flights.
--
-- Routed by carrier: the flights of one carrier lie in one of the four segments, in the order of the file.
-- Parallelism 1, because a second reader or writer would have no order to keep.
SET 'pipeline.name' = 'load flights';
SET 'execution.runtime-mode' = 'streaming';
SET 'execution.checkpointing.interval' = '1s';
SET 'parallelism.default' = '1';

CREATE TABLE flights_csv (
  row_id BIGINT,
  `year` INT, `month` INT, `day` INT,
  dep_time INT, sched_dep_time INT, dep_delay INT,
  arr_time INT, sched_arr_time INT, arr_delay INT,
  carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING,
  air_time INT, distance INT,
  `hour` INT, `minute` INT, time_hour TIMESTAMP_LTZ(3)
) WITH (
  'connector' = 'filesystem',
  'path' = '$flights_csv',
  'format' = 'csv',
  'csv.null-literal' = 'NA'
);

CREATE TABLE flights (
  row_id BIGINT,
  `year` INT, `month` INT, `day` INT,
  dep_time INT, sched_dep_time INT, dep_delay INT,
  arr_time INT, sched_arr_time INT, arr_delay INT,
  carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING,
  air_time INT, distance INT,
  `hour` INT, `minute` INT, time_hour TIMESTAMP_LTZ(3)
) WITH (
  'connector' = 'sluice',
  'endpoint' = '$endpoint',
  'stream' = 'nyc/flights',
  'stream.auto-create' = 'true',
  'stream.segments' = '4',
  'routing-key.fields' = 'carrier',
  'sink.id' = 'load-flights',
  'sink.delivery-guarantee' = 'exactly-once'
);

INSERT INTO flights SELECT * FROM flights_csv;
