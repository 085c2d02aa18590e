#!/usr/bin/env bash
# Shows that the contract of sources notices what real sources have got wrong: runs it on a TestSource with one defect
# at a time (TestDefect), and wants the named test to fail.
set -uo pipefail
usage() { echo "Usage: tests/source/broken_sources.sh PATH/TO/sync_source_tests"; }
[[ $# == 1 && -x ${1:-} ]] || { usage >&2; exit 2; }
tests=$1

# In the order of TestDefect: the defect, and a test that must notice it.
defects=(
  "none *"
  "gapAfterBaseline SourceHistories.BaselineAndStreamMeetExactlyUnderConcurrentWrites"
  "repeatsAfterBaseline SourceHistories.BaselineAndStreamMeetExactlyUnderConcurrentWrites"
  "losesWhenFull SourceHistories.ABatchThatWasDeclinedComesAgainAsItWas"
  "repeatsWhenFull SourceHistories.ABatchThatWasDeclinedComesAgainAsItWas"
  "losesWhilePaused SourceHistories.APauseLosesNothingAndDeliversNothing"
  "losesOnDisconnect SourceHistories.ADisconnectNeitherLosesNorRepeats"
  "repeatsOnDisconnect SourceHistories.ADisconnectNeitherLosesNorRepeats"
  "resumesAtTransactions SourcePositions.AStreamFromAnyEventDeliversWhatFollowsIt"
  "noPositions SourceHistories.BaselineAndStreamMeetExactlyUnderConcurrentWrites"
  "samePositions SourceHistories.BaselineAndStreamMeetExactlyUnderConcurrentWrites"
  "noTransactionEnd SyncSourceContract.ATransactionsEventsStandBetweenItsBorders"
  "swapsTransactions SourceHistories.BaselineAndStreamMeetExactlyUnderConcurrentWrites"
  "meetIsLater SourcePositions.MeetIsTheGreatestThatMissesNothingOfEither"
  "textForgetsTransaction SourcePositions.TextKeepsAPositionWhole"
  "ackGoesBack SourcePositions.AcknowledgementNeverGoesBack"
  "swallowsException SourceFailures.WhatTheReaderThrowsComesOutOfTheStream"
  "noLag SourceFailures.LagIsFilledIn"
  "blindValidation SyncSourceContract.ValidationNamesEachFault"
)

export TIDEGATE_SEEDS=5
if ! "$tests" --gtest_filter='Source/*/TestSourceInThrees' >/dev/null 2>&1; then
  echo "the contract fails without any defect: mend that first"
  exit 1
fi
export TIDEGATE_SOURCE_DEADLINE_MS=500
missed=0
for number in "${!defects[@]}"; do
  read -r defect test <<<"${defects[$number]}"
  [[ $defect != none ]] || continue
  output=$(TIDEGATE_SOURCE_DEFECT=$number timeout 60 "$tests" --gtest_filter="Source/$test/TestSourceInThrees" 2>&1)
  if grep -q "\[  FAILED  \] Source/$test/TestSourceInThrees" <<<"$output"; then
    echo "noticed: $defect, by $test"
  else
    echo "MISSED: $defect, by $test"
    missed=1
  fi
done
exit $missed
