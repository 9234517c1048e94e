-- The batch query: counts and sums per carrier of everything in nyc/flights_enriched, through the connector.
SET 'pipeline.name' = 'report';
SET 'execution.runtime-mode' = 'batch';
SET 'parallelism.default' = '2';

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
  'scan.startup.mode' = 'earliest',
  'scan.bounded.mode' = 'latest'
);

CREATE TABLE report (
  carrier STRING,
  events BIGINT,
  distance BIGINT,
  air_time BIGINT,
  air_time_known BIGINT,
  dep_delay BIGINT,
  row_ids BIGINT
) WITH (
  'connector' = 'filesystem',
  'path' = '$report_folder',
  'format' = 'csv'
);

INSERT INTO report
SELECT
  carrier,
  COUNT(*),
  SUM(CAST(distance AS BIGINT)),
  SUM(CAST(air_time AS BIGINT)),
  COUNT(air_time),
  SUM(CAST(dep_delay AS BIGINT)),
  SUM(row_id)
FROM flights_enriched
GROUP BY carrier;
