! nbody.f90 - forces between all pairs of bodies, in a derived type with allocatable components.
program nbody
   use example
   use omp_lib
   implicit none
   type bodies
      integer :: n
      real(real64), allocatable :: x(:, :), v(:, :), mass(:)
   end type
   type(bodies) :: all_of_them
   real(real64), allocatable :: want(:, :)
   real(real64) :: host_s, device_s
   integer(int64) :: bytes = 64*1024_int64
   integer :: reps = 5

   call begin(bytes, reps)
   ! every pair: time grows with the square
   all_of_them%n = min(int(bytes/56), 2000)

   host_s = run(omp_get_initial_device(), all_of_them)
   want = all_of_them%x
   device_s = run(omp_get_default_device(), all_of_them)
   call finish('nbody', bytes, reps, host_s, device_s, all(all_of_them%x == want))
contains
   ! seconds for `reps` steps from the start
   real(real64) function run(device, b)
      integer, intent(in) :: device
      type(bodies), intent(inout) :: b
      integer :: r

      call start(b)
      run = -seconds()
      do r = 1, reps
         call step(device, b%n, b%x, b%v, b%mass)
      end do
      run = run + seconds()
   end function

   subroutine start(b)
      type(bodies), intent(inout) :: b
      integer :: i

      if (.not. allocated(b%x)) allocate (b%x(3, b%n), b%v(3, b%n), b%mass(b%n))
      do i = 1, b%n
         b%x(:, i) = [mod(i*37, 101), mod(i*53, 103), mod(i*71, 107)]
         b%mass(i) = 1 + mod(i, 5)
      end do
      b%v = 0
   end subroutine

   subroutine step(device, n, x, v, mass)
      integer, intent(in) :: device, n
      real(real64), intent(inout) :: x(3, n), v(3, n)
      real(real64), intent(in) :: mass(n)
      real(real64) :: d(3), force(3)
      integer :: i, j

      !$omp target teams distribute parallel do device(device) private(d, force) map(to: x, mass) map(tofrom: v)
      do i = 1, n
         force = 0
         do j = 1, n
            d = x(:, j) - x(:, i)
            force = force + d*mass(j)/(sum(d*d) + 0.01_real64)**1.5_real64
         end do
         v(:, i) = v(:, i) + 0.001_real64*force
      end do
      !$omp target teams distribute parallel do device(device) map(to: v) map(tofrom: x)
      do i = 1, n
         x(:, i) = x(:, i) + 0.001_real64*v(:, i)
      end do
   end subroutine
end program
