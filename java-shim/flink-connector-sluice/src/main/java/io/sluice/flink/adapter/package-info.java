/** What differs between the Flink versions one jar serves (1.20 and 2.x). */
package io.sluice.flink.adapter;
