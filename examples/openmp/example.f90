! example.f90 - what the Fortran example programs share: arguments, time, the line that each prints, as in example.h:
!
!     NAME [BYTES[K|M|G]] [REPETITIONS]
!
! Each computes everything twice with the same code, on the host and on the default device, and compares. Nothing here knows
! of gmem.
module example
   use, intrinsic :: iso_fortran_env, only: int64, real64
   implicit none
   private
   public :: begin, finish, seconds, real64, int64
contains
   subroutine begin(bytes, reps)
      integer(int64), intent(inout) :: bytes
      integer, intent(inout) :: reps
      character(len=32) :: word
      integer :: n, status

      if (command_argument_count() > 0) then
         call get_command_argument(1, word, n)
         status = 0
         select case (word(n:n))
         case ('K'); read (word(:n - 1), *, iostat=status) bytes; bytes = bytes*1024_int64
         case ('M'); read (word(:n - 1), *, iostat=status) bytes; bytes = bytes*1024_int64**2
         case ('G'); read (word(:n - 1), *, iostat=status) bytes; bytes = bytes*1024_int64**3
         case default; read (word(:n), *, iostat=status) bytes
         end select
         if (status /= 0 .or. bytes < 4096) stop 2
      end if
      if (command_argument_count() > 1) then
         call get_command_argument(2, word)
         read (word, *, iostat=status) reps
         if (status /= 0 .or. reps < 1) stop 2
      end if
   end subroutine

   real(real64) function seconds()
      integer(int64) :: ticks, rate

      call system_clock(ticks, rate)
      seconds = real(ticks, real64)/real(rate, real64)
   end function

   subroutine finish(name, bytes, reps, host_s, device_s, equal)
      character(len=*), intent(in) :: name
      integer(int64), intent(in) :: bytes
      integer, intent(in) :: reps
      real(real64), intent(in) :: host_s, device_s
      logical, intent(in) :: equal

      write (*, '(a,": ",i0," bytes, host ",f0.3," s, device ",f0.3," s, ",f0.4," ms a step: ",a)') name, bytes, host_s, &
         device_s, 1e3*device_s/reps, trim(merge('equal    ', 'DIFFERENT', equal))
      if (.not. equal) stop 1
   end subroutine
end module
