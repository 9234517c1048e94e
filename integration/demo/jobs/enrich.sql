-- Job 2: every flight gets the name of its airline; nyc/flights becomes nyc/flights_enriched.
--
-- The join is a temporal join: it takes the airline as it was known at the flight's place in time. It is used here
-- because it keeps order, which a regular streaming join does not: that one keeps flights that come before their
-- airline in a hash map and lets them out in any order. A temporal join waits for the watermark and then emits the
-- flights of a carrier in the order in which they arrived, if their time never goes backwards. The clock is therefore
-- the line of the CSV (line_clock), which only grows from flight to flight of a carrier; the airlines are valid from
-- line 0 on. Nothing is lost for being late: what arrives behind the watermark is emitted at the next one, still in
-- order of arrival.
SET 'pipeline.name' = 'enrich flights';
SET 'execution.runtime-mode' = 'streaming';
SET 'execution.checkpointing.interval' = '1s';
SET 'parallelism.default' = '2';

CREATE TABLE flights (
  row_id BIGINT,
  `year` INT, `month` INT, `day` INT,
  dep_time INT, sched_dep_time INT, dep_delay INT,
  arr_time INT, sched_arr_time INT, arr_delay INT,
  carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING,
  air_time INT, distance INT,
  `hour` INT, `minute` INT, time_hour TIMESTAMP_LTZ(3),
  line_clock AS TO_TIMESTAMP_LTZ(row_id, 3),
  WATERMARK FOR line_clock AS line_clock
) WITH (
  'connector' = 'sluice',
  'endpoint' = '$endpoint',
  'stream' = 'nyc/flights',
  'scan.startup.mode' = 'earliest',
  'scan.bounded.mode' = 'latest',
  'scan.rate-limit' = '$rate'
);

CREATE TABLE airlines (
  carrier STRING,
  name STRING,
  valid_from AS TO_TIMESTAMP_LTZ(0, 3),
  WATERMARK FOR valid_from AS valid_from,
  PRIMARY KEY (carrier) NOT ENFORCED
) WITH (
  'connector' = 'filesystem',
  'path' = '$airlines_csv',
  'format' = 'csv'
);

CREATE TABLE flights_enriched (
  row_id BIGINT,
  `year` INT, `month` INT, `day` INT,
  dep_time INT, sched_dep_time INT, dep_delay INT,
  arr_time INT, sched_arr_time INT, arr_delay INT,
  carrier STRING, flight INT, tailnum STRING, origin STRING, dest STRING,
  air_time INT, distance INT,
  `hour` INT, `minute` INT, time_hour TIMESTAMP_LTZ(3),
  airline STRING
) WITH (
  'connector' = 'sluice',
  'endpoint' = '$endpoint',
  'stream' = 'nyc/flights_enriched',
  'stream.auto-create' = 'true',
  'stream.segments' = '4',
  'routing-key.fields' = 'carrier',
  'sink.id' = 'enrich-flights',
  'sink.delivery-guarantee' = 'exactly-once'
);

INSERT INTO flights_enriched
SELECT
  f.row_id,
  f.`year`, f.`month`, f.`day`,
  f.dep_time, f.sched_dep_time, f.dep_delay,
  f.arr_time, f.sched_arr_time, f.arr_delay,
  f.carrier, f.flight, f.tailnum, f.origin, f.dest,
  f.air_time, f.distance,
  f.`hour`, f.`minute`, f.time_hour,
  a.name
FROM flights AS f
JOIN airlines FOR SYSTEM_TIME AS OF f.line_clock AS a
ON f.carrier = a.carrier;
